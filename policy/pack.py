"""The policy pack: its policies and their configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pulumi_policy import EnforcementLevel, Policy

from policy import (
    api_servers,
    backups,
    costs,
    coverage,
    databases,
    encryption,
    images,
    pod_security,
    protection,
    rbac,
    regions,
    registries,
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
    *coverage.POLICIES,
    *rbac.POLICIES,
    *api_servers.POLICIES,
    *registries.POLICIES,
    *databases.POLICIES,
    *backups.POLICIES,
    *encryption.POLICIES,
    *protection.POLICIES,
    *secrecy.POLICIES,
    *regions.POLICIES,
    *costs.POLICIES,
    *tags.POLICIES,
]


def configuration() -> dict[str, EnforcementLevel | dict[str, Any]]:
    """Return each policy's configuration; `--policy-pack-config FILE` overrides single properties of it."""
    rules: dict[str, dict[str, Any]] = json.loads(CONFIGURATION.read_text())
    levels = {policy.name: policy.enforcement_level for policy in POLICIES}
    for name, rule in rules.items():
        # Always explicit: the engine treats a missing level as advisory.
        level = rule.get("enforcementLevel")
        rule["enforcementLevel"] = EnforcementLevel(level) if level else levels[name]
    return dict(rules)
