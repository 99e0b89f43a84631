"""Everything in the pack: its rules, and what policy-config.json says to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pulumi_policy import EnforcementLevel, Policy

from policy import (
    costs,
    databases,
    encryption,
    images,
    pod_security,
    protection,
    regions,
    secrecy,
    selectors,
    tags,
    workloads,
)

NAME = "addressbook"
CONFIGURATION = Path(__file__).with_name("policy-config.json")
POLICIES: list[Policy] = [
    *images.POLICIES,
    *pod_security.POLICIES,
    *workloads.POLICIES,
    *selectors.POLICIES,
    *databases.POLICIES,
    *encryption.POLICIES,
    *protection.POLICIES,
    *secrecy.POLICIES,
    *regions.POLICIES,
    *costs.POLICIES,
    *tags.POLICIES,
]


def configuration() -> dict[str, EnforcementLevel | dict[str, Any]]:
    """What each rule is told; `--policy-pack-config FILE` overrides it, rule by rule and property by property."""
    rules: dict[str, dict[str, Any]] = json.loads(CONFIGURATION.read_text())
    levels = {policy.name: policy.enforcement_level for policy in POLICIES}
    for name, rule in rules.items():
        # The level is said in any case: the engine takes one that isn't for advisory.
        level = rule.get("enforcementLevel")
        rule["enforcementLevel"] = EnforcementLevel(level) if level else levels[name]
    return dict(rules)
