"""The policy pack: names, levels, configuration, documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pulumi_policy import EnforcementLevel

from policy.pack import CONFIGURATION, POLICIES, configuration
from tests.unit.policy.conftest import BY_NAME

ROOT = Path(__file__).resolve().parents[3]


def test_policies_have_unique_names_and_a_level():
    assert len(BY_NAME) == len(POLICIES)
    assert all(policy.enforcement_level for policy in POLICIES)


def test_configuration_matches_the_schemas():
    schemas = {policy.name: set(policy.config_schema.properties) for policy in POLICIES if policy.config_schema}
    configured = {name: values for name, values in configuration().items() if isinstance(values, dict)}
    assert {name: set(values) - {"enforcementLevel"} for name, values in configured.items()} == schemas


def test_configuration_states_every_level():
    """The engine treats a configured policy without a level as advisory."""
    for name, values in configuration().items():
        assert isinstance(values, dict)
        assert values["enforcementLevel"] == BY_NAME[name].enforcement_level


def test_first_release_relaxes_only_one_policy():
    relaxed = json.loads((ROOT / "policy" / "first-release.json").read_text())
    assert relaxed == {"pinned-in-production": {"enforcementLevel": "advisory"}}


def test_policies_are_documented_with_their_level():
    rows = dict(
        re.findall(
            r"^\| `([a-z-]+)` \| (mandatory|advisory) \|", (ROOT / "docs/reference/policies.md").read_text(), re.M
        )
    )
    advisory = EnforcementLevel.ADVISORY
    levels = {policy.name: "advisory" if policy.enforcement_level == advisory else "mandatory" for policy in POLICIES}
    assert rows == levels


def test_all_policies_agree_on_production():
    configured = json.loads(CONFIGURATION.read_text())
    named = [rule["stacks"] for rule in configured.values() if "stacks" in rule]
    assert len(named) == 3
    assert named == named[:1] * 3
