"""What a rehearsal copies from a stack, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import rehearsal as module
from lab import simulation
from lab.errors import LabError
from lab.layout import Lab
from lab.project import CHECKOUT
from lab.rehearsal import Rehearsal, could_be, prepare, simulated_cloud

PINNED = "registry.example/addressbook@sha256:" + "ab" * 32


def stack_file(rehearsal: Rehearsal) -> dict[str, Any]:
    return yaml.safe_load((rehearsal.program / f"Pulumi.{rehearsal.stack}.yaml").read_text())["config"]


def test_the_copy_differs_only_in_its_namespace(lab: Lab) -> None:
    real = (CHECKOUT / "Pulumi.prod.yaml").read_text()
    rehearsal = prepare(lab, "prod")
    expected = {**yaml.safe_load(real)["config"], "addressbook:namespace": "rehearsal-prod"}
    assert stack_file(rehearsal) == expected
    assert expected["addressbook:buildFromSource"] == "first", "the rehearsal includes production's own guard"
    assert (CHECKOUT / "Pulumi.prod.yaml").read_text() == real
    assert rehearsal.folder.is_relative_to(lab.state), "`down` removes it"
    rehearsal.close()
    assert not rehearsal.folder.exists()


def test_images_and_secrets_are_left_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "addressbook:cloud": "digitalocean",
        "addressbook:stableImage": PINNED,
        "addressbook:canaryReplicas": "0",
        "addressbook:secretEnvironment": {"TOKEN": {"secure": "v1:abc"}, "OTHER": {"secure": "v1:def"}},
        "digitalocean:token": {"secure": "v1:ghi"},
    }
    monkeypatch.setattr(module, "stack_config", lambda _: config)
    rehearsal = prepare(lab, "prod")
    assert stack_file(rehearsal) == {"addressbook:cloud": "digitalocean", "addressbook:namespace": "rehearsal-prod"}
    assert rehearsal.secure == ["secretEnvironment.TOKEN", "secretEnvironment.OTHER"]
    changes = " ".join(rehearsal.changed)
    for word in ("stableImage", "namespace", "secretEnvironment.TOKEN"):
        assert word in changes


def test_a_stack_that_never_builds_builds_its_first_image(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "addressbook:cloud": "digitalocean",
        "addressbook:stableImage": PINNED,
        "addressbook:buildFromSource": "never",
    }
    monkeypatch.setattr(module, "stack_config", lambda _: config)
    rehearsal = prepare(lab, "prod")
    assert stack_file(rehearsal)["addressbook:buildFromSource"] == "first"
    assert "buildFromSource is first instead of never" in " ".join(rehearsal.changed)


@pytest.mark.parametrize("stack", ["prod", "prod-gcp", "prod-aws"])
def test_the_environment_reaches_no_real_account(lab: Lab, monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    cloud = simulated_cloud(stack)
    simulated = simulation.of_cloud(cloud)
    login = prepare(lab, stack).login
    for name in (*simulated.hidden, *login):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("KUBECONFIG", "/real")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://real")
    monkeypatch.setenv("PULUMI_IGNORE_AMBIENT_PLUGINS", "true")
    rehearsal = prepare(lab, stack)
    assert "real" not in rehearsal.environment.values()
    assert login.keys() <= rehearsal.environment.keys()
    assert not any("/real" in value for name, value in rehearsal.environment.items() if name in ("KUBECONFIG", "PATH"))
    assert "PULUMI_IGNORE_AMBIENT_PLUGINS" not in rehearsal.environment
    assert rehearsal.environment["PULUMI_BACKEND_URL"] == f"file://{rehearsal.folder}"
    first = Path(rehearsal.environment["PATH"].split(":")[0])
    assert {each.name for each in first.iterdir()} == {f"pulumi-resource-{cloud}", *simulated.commands}


def test_keys_of_the_real_account_are_removed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"addressbook:cloud": "gcp", "gcp:project": "acme-prod-1", "gcp:impersonateServiceAccount": "somebody"}
    monkeypatch.setattr(module, "stack_config", lambda _: config)
    rehearsal = prepare(lab, "prod-gcp")
    assert stack_file(rehearsal) == {
        "addressbook:cloud": "gcp",
        "addressbook:namespace": "rehearsal-prod-gcp",
        "gcp:project": "simulated-project",
    }
    assert "gcp:impersonateServiceAccount is removed" in " ".join(rehearsal.changed)


def test_a_cloud_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"digitalocean", "gcp"} <= set(simulation.clouds())
    (tmp_path / "mars").mkdir()
    (tmp_path / "mars" / "simulation.py").touch()
    monkeypatch.setattr(simulation, "PLUGINS", tmp_path)
    assert simulation.clouds() == ["mars"]


def test_a_shell_can_source_the_environment(lab: Lab) -> None:
    rehearsal = prepare(lab, "prod")
    script = f'. {rehearsal.write_environment()}; printf %s "$PULUMI_CONFIG_PASSPHRASE"'
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == rehearsal.environment["PULUMI_CONFIG_PASSPHRASE"]


@pytest.mark.parametrize(("stack", "message"), [("nowhere", "There is no stack 'nowhere'"), ("dev", "cloud 'local'")])
def test_an_unsuitable_stack_is_refused(stack: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        simulated_cloud(stack)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--help"], 0, "Example: python -m lab rehearse prod"),
        (["nowhere"], 2, "There is no stack 'nowhere'"),
        (["staging"], 2, "Rehearse that one: python -m lab rehearse prod."),
        (["prod", "--fault", "flood:Vpc"], 2, "is not a known fault"),
        (["prod", "--fault", "quota:Vpc,flood:Vpc"], 2, "is not a known fault"),
    ],
)
def test_rehearse_on_the_command_line(arguments: list[str], code: int, message: str) -> None:
    command = [sys.executable, "-m", "lab", "rehearse", *arguments]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert result.returncode == code
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_release_stack_is_refused_with_its_platforms_name(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"addressbook:cloud": "digitalocean", "addressbook:platformStack": "acme/addressbook/prod"}
    monkeypatch.setattr(module, "stack_config", lambda _: config)
    with pytest.raises(LabError, match="it uses that of stack 'prod'"):
        simulated_cloud("feature-x")


@pytest.mark.parametrize(
    ("planned", "same"),
    [
        ({"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"}, True),
        ({"vpcId": "vpc-1", "cidrBlock": "10.0.1.0/24"}, False),
        ({"vpcId": "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "cidrBlock": "10.0.0.0/24"}, True),
        ({"cidrBlock": "10.0.0.0/24", "password": "[secret]"}, True),
        ({"name": "subnet-abcdef0", "__defaults": ["name"]}, True),
        ({"tags": {"Name": "private-1"}}, True),
        ({"tags": {"Name": "private-2"}}, False),
    ],
)
def test_could_be_compares_known_inputs(planned: dict[str, Any], same: bool) -> None:
    existing = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "name": "subnet-1234567", "tags": {"Name": "private-1"}}
    assert could_be(planned, existing) is same
