"""`diagnose` on real pods, each broken in its own way: it names every cause and remedy."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from promotion.diagnosis.diagnose import Finding, diagnose, diagnosis_json, diagnosis_text
from promotion.state.cluster.cluster import Cluster
from tests.e2e import broken_states
from tests.e2e.broken_states import CASES, PASSWORD

#: Seconds that the slowest case, a container that crashes after 15 s, may take to show its cause. Most of them have
#: passed when these tests begin.
PATIENCE = 150


@pytest.fixture(scope="module")
def findings(broken: Cluster) -> list[Finding]:
    """What `diagnose` finds once every case has shown its cause, or the time is over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        findings = diagnose(broken)
        explained = [case.cause in {each.cause for each in about(findings, name)} for name, case in CASES.items()]
        if all(explained) or time.monotonic() > deadline:
            return findings
        time.sleep(3)


def about(findings: list[Finding], case: str) -> list[Finding]:
    """Return the findings that name an object of the case."""
    names = [[each.partition(" ")[2] for each in finding.objects] for finding in findings]
    return [
        finding
        for finding, objects in zip(findings, names, strict=True)
        if any(name == case or name.startswith(f"{case}-") for name in objects)
    ]


@pytest.mark.parametrize("name", CASES)
def test_names_cause_and_remedy(findings: list[Finding], name: str):
    case = CASES[name]
    by_cause = {each.cause: each for each in about(findings, name)}
    assert case.cause in by_cause, f"{name}: {sorted(by_cause)}\n{diagnosis_text(about(findings, name))}"
    assert case.remedy in by_cause[case.cause].remedy


def test_healthy_deployment_has_no_findings(findings: list[Finding]):
    assert not about(findings, "healthy")


def test_pods_with_the_same_cause_share_one_finding(findings: list[Finding]):
    (finding,) = about(findings, "image-absent")
    assert len(finding.objects) == 2
    assert broken_states.ABSENT_DIGEST in finding.what


def test_findings_include_evidence_and_logs(findings: list[Finding]):
    first = {name: about(findings, name)[0] for name in CASES}
    assert "panic: queue is full" in first["crash-later"].log
    assert any("reason OOMKilled" in line for line in first["memory-hungry"].evidence)
    assert "limit of 16Mi" in first["memory-hungry"].what
    assert "GET /ready on port 8080" in first["never-ready"].what
    assert "status 404" in first["never-ready"].what  # the kubelet may have met other answers too
    assert any(line.startswith("asked now, it answers 404") for line in first["never-ready"].evidence)
    assert "nothing listens on that port" in first["port-closed"].what
    assert "999.0 GiB" in first["memory-asked"].what
    assert "the emptiest has" in first["memory-asked"].what
    assert any("already exists" in line for line in first["shop-migrate-abcdef"].log)


def test_secrets_are_masked(findings: list[Finding]):
    (crash,) = about(findings, "crash-at-start")
    assert any("cannot log in with" in line for line in crash.log), crash
    for shown in (diagnosis_text(findings), json.dumps(diagnosis_json(findings), ensure_ascii=False)):
        assert PASSWORD not in shown


def test_one_track_can_be_diagnosed_alone(broken: Cluster):
    findings = diagnose(broken, "stable")
    assert findings  # those that both tracks share
    assert all(not each.tracks or "stable" in each.tracks for each in findings)


def test_healthy_release_has_no_findings(stack: Any):
    done = stack.run(sys.executable, "-m", "promotion", "diagnose", "--stack", stack.stack, "--output", "json")
    assert [each for each in json.loads(done.stdout)["findings"] if not each["notice"]] == []
