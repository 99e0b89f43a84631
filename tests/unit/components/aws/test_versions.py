"""Versions of Kubernetes and PostgreSQL: offered, supported, upgraded in place, and ahead of the config."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.aws.versions import kubernetes_warning, postgres_warning, satisfies
from contract.project import PROJECT_ROOT as ROOT
from contract.update import LEAVE_PLATFORM
from tests.unit.components.aws.simulated import EKS, ENGINE_VERSION, runs

#: End of EKS' standard support (EKS user guide, release calendar; of 1.37: 14 months after its release).
SUPPORT_ENDS = {"1.34": "2026-12-02", "1.36": "2027-08-02", "1.37": "2027-12-01"}
#: What a PostgreSQL 15.12 can be upgraded to, and RDS' default versions.
TARGETS = ["15.13", "16.8", "16.9", "17.4"]
DEFAULTS = {"16": "16.6", "17": "17.4"}


def test_the_stack_files_version_is_supported_for_a_year():
    config = yaml.safe_load((ROOT / "Pulumi.prod-aws.yaml").read_text())["config"]
    end = datetime.date.fromisoformat(SUPPORT_ENDS[config["addressbook:kubernetesVersion"]])
    assert end >= datetime.date(2026, 11, 30) + datetime.timedelta(days=365)


@pytest.mark.parametrize(
    ("version", "today", "warning"),
    [
        ("1.34", "2026-09-01", ""),
        ("1.34", "2026-11-30", "kubernetesVersion 1.34: EKS' standard support ends on 2026-12-02, and extended"),
        ("1.34", "2026-12-02", "kubernetesVersion 1.34: EKS' standard support ended on 2026-12-02, and extended"),
        ("1.99", "2026-12-02", ""),
    ],
)
def test_extended_support_of_kubernetes_is_a_warning(version: str, today: str, warning: str):
    given = kubernetes_warning(version, SUPPORT_ENDS, datetime.date.fromisoformat(today))
    assert given.startswith(warning) and bool(given) == bool(warning)


@pytest.mark.parametrize(
    ("version", "today", "warning"),
    [("15", "2027-12-01", ""), ("15", "2028-01-15", "ends on 2028-02-29"), ("15", "2028-03-01", "ended on 2028-02-29")],
)
def test_extended_support_of_postgres_is_a_warning(version: str, today: str, warning: str):
    given = postgres_warning(version, datetime.date.fromisoformat(today))
    assert warning in given and bool(given) == bool(warning)


def test_warnings_are_of_what_runs(graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi, "warn", warnings.append)
    ended = {"clusterVersion": "1.34", "endOfStandardSupportDate": "2026-01-01T00:00:00Z"}
    answer = {"clusterVersions": [ended], "region": "eu-central-1", "id": "eu-central-1"}
    cloud.functions["aws:eks/getClusterVersions:getClusterVersions"] = lambda _: answer
    graph(kubernetesVersion="1.34")
    assert [text.partition(":")[0] for text in warnings] == ["kubernetesVersion 1.34"]


@pytest.mark.parametrize(
    ("live", "wanted", "enough"),
    [
        ("", "15", False),
        ("15.10", "15", True),
        ("15.10", "15.9", True),
        ("15.10", "15.12", False),
        ("15.10", "16", False),
        ("16.2", "15.12", True),
        ("1.36", "1.35", True),
    ],
)
def test_a_version_means_at_least(live: str, wanted: str, enough: bool):
    assert satisfies(live, wanted) is enough


def test_versions_ahead_of_the_config_stay(graph: Callable[..., Any], cloud: Any):
    cloud.functions.update(runs(cluster="1.36", database="16.10"))
    stack = graph(kubernetesVersion="1.35", databaseVersion="16.9")
    assert "version" in stack.one(EKS).options.ignoreChanges
    assert "engineVersion" in stack.one("Instance").options.ignoreChanges
    assert graph(databaseVersion="15").one("ParameterGroup").inputs["family"] == "postgres16"
    cloud.functions.update(runs(cluster="1.34", database="15.12"))
    behind = graph(kubernetesVersion="1.35")
    assert "version" not in behind.one(EKS).options.ignoreChanges


@pytest.mark.parametrize(
    ("live", "wanted", "message"),
    [
        ("", "1.38", r"kubernetesVersion = '1.38': EKS offers 1.34, 1.35, 1.36, 1.37; choose one"),
        (
            "1.34",
            "1.36",
            r"the cluster runs 1.34, and EKS upgrades one minor version at a time .*kubernetesVersion 1.35",
        ),
    ],
)
def test_an_impossible_kubernetes_version_is_refused(
    graph: Callable[..., Any], cloud: Any, live: str, wanted: str, message: str
):
    cloud.functions.update(runs(cluster=live))
    with pytest.raises(pulumi.RunError, match=message):
        graph(kubernetesVersion=wanted)


def test_the_way_back_asks_for_what_runs(graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch):
    """Versions in the file that AWS refuses do not stop a roll-back, which upgrades nothing."""
    monkeypatch.setenv(LEAVE_PLATFORM, "true")
    cloud.functions.update(runs(cluster="1.34", database="15.12"))
    stack = graph(kubernetesVersion="1.39", databaseVersion="18")
    for kind, key, running in ((EKS, "version", "1.34"), ("Instance", "engineVersion", "15.12")):
        resource = stack.one(kind)
        assert resource.inputs[key] == running
        assert key in resource.options.ignoreChanges


@pytest.fixture
def upgrading(graph: Callable[..., Any], cloud: Any) -> Callable[[str], Any]:
    """Provide a function that returns the graph of a stack whose PostgreSQL 15.12 gets another version."""

    def answer(args: dict[str, Any]) -> dict[str, Any]:
        if args.get("defaultOnly"):
            return {"version": DEFAULTS[args["version"]], "id": "x", "region": "eu-central-1"}
        assert (args["engine"], args["version"]) == ("postgres", "15.12")
        return {"version": "15.12", "validUpgradeTargets": TARGETS, "id": "x", "region": "eu-central-1"}

    cloud.functions.update({**runs(cluster="1.34", database="15.12"), ENGINE_VERSION: answer})
    return lambda version: graph(databaseVersion=version)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("16", "databaseVersion = '16': is 16.6 at RDS by default, and the server runs 15.12, which RDS upgrades to"),
        ("16.7", "databaseVersion = '16.7': the server runs 15.12, which RDS upgrades to 15.13, 16.8, 16.9, 17.4;"),
        ("18", "databaseVersion = '18': the server runs 15.12, which RDS upgrades to 15.13, 16.8, 16.9, 17.4;"),
    ],
)
def test_an_impossible_upgrade_names_the_targets(upgrading: Callable[[str], Any], version: str, message: str):
    with pytest.raises(pulumi.RunError, match=message):
        upgrading(version)


@pytest.mark.parametrize("version", ["15.13", "16.9", "17"])
def test_a_possible_upgrade_is_asked_for(upgrading: Callable[[str], Any], version: str):
    stack = upgrading(version)
    assert stack.one("Instance").inputs["engineVersion"] == version
    assert "engineVersion" not in stack.one("Instance").options.ignoreChanges
    assert stack.one("ParameterGroup").inputs["family"] == f"postgres{version.partition('.')[0]}"


@pytest.mark.usefixtures("account")
def test_a_malformed_database_version_is_refused(errors: Callable[..., list[str]], account: Path):
    for version in ("14", "16.", "16.1.2", "postgres16"):
        assert errors(databaseVersion=version)[0].startswith(f"databaseVersion = '{version}'")
