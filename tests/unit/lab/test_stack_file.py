"""Whether a stack needs the lab."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab import environment, stack_file
from lab.errors import LabError
from lab.layout import Lab
from lab.stack_file import Target

LAB = Lab("addressbook-lab", ipaddress.IPv4Network("10.203.0.0/16"), Path("/nowhere"))
IN_LAB = Target("local", in_lab=True)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stack_file, "CHECKOUT", tmp_path)
    return tmp_path / "Pulumi.mine.yaml"


@pytest.mark.parametrize(
    ("content", "context", "expected"),
    [
        ("config: {addressbook:cloud: local, addressbook:kubeContext: addressbook-lab}", None, Target("local", True)),
        ("config: {addressbook:cloud: local, addressbook:kubeContext: kind-kind}", None, Target("local", False)),
        (
            "config: {addressbook:cloud: local, addressbook:kubeContext: addressbook-lab}",
            "kind",
            Target("local", False),
        ),
        ("config: {addressbook:cloud: local}", "addressbook-lab", Target("local", True)),
        ("config: {addressbook:cloud: gcp}", None, Target("gcp", False)),
        ("", None, Target("local", False)),
    ],
)
def test_where_a_stack_lives(stack: Path, content: str, context: str | None, expected: Target) -> None:
    stack.write_text(content)
    assert stack_file.target(LAB, "mine", context) == expected


def test_a_stack_without_a_file_is_named(stack: Path) -> None:
    with pytest.raises(LabError, match=rf"no stack 'other': .*{stack.parent.name}"):
        stack_file.target(LAB, "other", None)


def test_a_stack_file_that_is_no_yaml_is_named(stack: Path) -> None:
    stack.write_text("config: [")
    with pytest.raises(LabError, match=r"Pulumi\.mine\.yaml is no valid YAML"):
        stack_file.target(LAB, "mine", None)


def test_a_stack_elsewhere_keeps_the_users_cluster_and_its_state_outlives_the_lab(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user-state"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = environment.variables(lab, Target("local", in_lab=False))
    assert not {"KUBECONFIG", "DOCKER_HOST"} & elsewhere.keys()
    assert elsewhere["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/user-state/addressbook/pulumi"
    assert (tmp_path / "user-state" / "addressbook" / "pulumi").is_dir()
    lab.state.mkdir()
    inside = environment.variables(lab, IN_LAB)
    assert inside["KUBECONFIG"] == str(lab.kubeconfig)
    assert inside["PULUMI_BACKEND_URL"] == f"file://{lab.state}/pulumi"
    assert Path(inside["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip()


def test_where_no_lab_runs_the_machines_own_docker_builds(lab: Lab) -> None:
    assert "DOCKER_HOST" not in environment.export_lines(lab, IN_LAB)
    lab.docker_socket.parent.mkdir(parents=True, exist_ok=True)
    lab.docker_socket.touch()
    assert f"export DOCKER_HOST=unix://{lab.docker_socket}\n" in environment.export_lines(lab, IN_LAB) + "\n"


def test_a_clouds_stack_has_its_state_where_the_team_signed_in_and_no_public_passphrase(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    lines = environment.export_lines(lab, Target("aws", in_lab=False))
    assert "PULUMI_SKIP_UPDATE_CHECK" in lines
    assert not [word for word in ("BACKEND", "PASSPHRASE") if word in lines]
    assert "PULUMI_BACKEND_URL" in environment.export_lines(lab, IN_LAB)


def test_what_the_user_has_set_for_pulumi_stays(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    found = environment.variables(lab, IN_LAB)
    assert not {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"} & found.keys()
