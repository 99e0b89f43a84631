"""The pack as a whole: its rules, their configuration, their documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pulumi_policy import EnforcementLevel

from policy.pack import CONFIGURATION, POLICIES, configuration
from tests.unit.policy.conftest import BY_NAME

ROOT = Path(__file__).resolve().parents[3]


def test_each_rule_has_a_name_of_its_own_and_a_level():
    assert len(BY_NAME) == len(POLICIES)
    assert all(policy.enforcement_level for policy in POLICIES)


def test_the_configuration_fits_the_rules():
    asked = {policy.name: set(policy.config_schema.properties) for policy in POLICIES if policy.config_schema}
    told = {name: said for name, said in configuration().items() if isinstance(said, dict)}
    assert {name: set(said) - {"enforcementLevel"} for name, said in told.items()} == asked


def test_the_configuration_says_each_level():
    """The engine takes a rule that is told something, but no level, for advisory."""
    for name, said in configuration().items():
        assert isinstance(said, dict)
        assert said["enforcementLevel"] == BY_NAME[name].enforcement_level


def test_the_first_release_is_excused_from_one_rule_only():
    excused = json.loads((ROOT / "policy" / "first-release.json").read_text())
    assert excused == {"pinned-in-production": {"enforcementLevel": "advisory"}}


def test_each_rule_is_documented_with_its_level():
    rows = dict(
        re.findall(
            r"^\| `([a-z-]+)` \| (mandatory|advisory) \|", (ROOT / "docs/reference/policies.md").read_text(), re.M
        )
    )
    advisory = EnforcementLevel.ADVISORY
    levels = {policy.name: "advisory" if policy.enforcement_level == advisory else "mandatory" for policy in POLICIES}
    assert rows == levels


def test_production_is_one_and_the_same():
    said = json.loads(CONFIGURATION.read_text())
    named = [rule["stacks"] for rule in said.values() if "stacks" in rule]
    assert len(named) == 3
    assert named == named[:1] * 3
