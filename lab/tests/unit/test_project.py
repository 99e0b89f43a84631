"""Where a stack runs, and the environment that follows from it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab import environment, project
from lab.errors import LabError
from lab.layout import Lab
from lab.project import Target

LAB = Lab("addressbook-lab", ipaddress.IPv4Network("10.203.0.0/16"), Path("/nowhere"))
IN_LAB = Target("local", in_lab=True)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(project, "CHECKOUT", tmp_path)
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
        ("config: {cloud: local, kubeContext: addressbook-lab}", None, Target("local", True)),
        ("", None, Target("local", False)),
    ],
)
def test_target_of_a_stack(stack: Path, content: str, context: str | None, expected: Target) -> None:
    stack.write_text(content)
    assert project.target(LAB, "mine", context) == expected


def test_a_missing_stack_file_is_named(stack: Path) -> None:
    with pytest.raises(LabError, match=rf"no stack 'other': .*{stack.parent.name}"):
        project.target(LAB, "other", None)


def test_an_invalid_stack_file_is_named(stack: Path) -> None:
    stack.write_text("config: [")
    with pytest.raises(LabError, match=r"Pulumi\.mine\.yaml is not valid YAML"):
        project.target(LAB, "mine", None)


def test_a_stack_outside_the_lab_gets_only_tools(lab: Lab) -> None:
    for cloud in ("local", "aws"):
        outside = environment.variables(lab, Target(cloud, in_lab=False))
        assert set(outside) == {"PATH", "PULUMI_SKIP_UPDATE_CHECK"}


def test_a_stack_in_the_lab_keeps_its_state_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    lab.state.mkdir()
    inside = environment.variables(lab, IN_LAB)
    assert inside["KUBECONFIG"] == str(lab.kubeconfig)
    assert inside["PULUMI_BACKEND_URL"] == f"file://{lab.state}/pulumi"
    assert (lab.state / "pulumi").is_dir()
    assert Path(inside["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip()


def test_without_a_lab_the_machines_docker_is_used(lab: Lab) -> None:
    assert "DOCKER_HOST" not in environment.export_lines(lab, IN_LAB)
    lab.docker_socket.parent.mkdir(parents=True, exist_ok=True)
    lab.docker_socket.touch()
    assert f"export DOCKER_HOST=unix://{lab.docker_socket}\n" in environment.export_lines(lab, IN_LAB) + "\n"


def test_the_users_pulumi_settings_are_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    result = environment.variables(lab, IN_LAB)
    assert not {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"} & result.keys()
