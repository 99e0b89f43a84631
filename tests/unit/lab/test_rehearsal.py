"""A rehearsal's stage: what the copy of a stack holds, and what is kept from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import rehearsal as staging
from lab import simulation
from lab.errors import LabError
from lab.layout import CHECKOUT, Lab
from lab.rehearsal import Rehearsal, could_be, prepare, simulated_cloud

PINNED = "registry.example/addressbook@sha256:" + "ab" * 32


def stack_file(stage: Rehearsal) -> dict[str, Any]:
    return yaml.safe_load((stage.program / f"Pulumi.{stage.stack}.yaml").read_text())["config"]


def test_the_copy_has_a_namespace_of_its_own_and_the_rest_of_the_stack_file(lab: Lab):
    real = (CHECKOUT / "Pulumi.prod.yaml").read_text()
    stage = prepare(lab, "prod")
    expected = {**yaml.safe_load(real)["config"], "addressbook:namespace": "rehearsal-prod"}
    assert stack_file(stage) == expected
    assert expected["addressbook:buildFromSource"] == "first", "production's own guard is rehearsed too"
    assert (CHECKOUT / "Pulumi.prod.yaml").read_text() == real
    assert stage.folder.is_relative_to(lab.state), "`down` removes it"
    stage.close()
    assert not stage.folder.exists()


def test_images_and_secrets_of_the_real_stack_are_left_out_and_that_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    config = {
        "addressbook:cloud": "digitalocean",
        "addressbook:stableImage": PINNED,
        "addressbook:canaryReplicas": "0",
        "addressbook:secretEnvironment": {"TOKEN": {"secure": "v1:abc"}, "OTHER": {"secure": "v1:def"}},
        "digitalocean:token": {"secure": "v1:ghi"},
    }
    monkeypatch.setattr(staging, "stack_config", lambda _: config)
    stage = prepare(lab, "prod")
    assert stack_file(stage) == {"addressbook:cloud": "digitalocean", "addressbook:namespace": "rehearsal-prod"}
    assert stage.secure == ["secretEnvironment.TOKEN", "secretEnvironment.OTHER"]
    said = " ".join(stage.changed)
    for word in ("stableImage", "namespace", "secretEnvironment.TOKEN"):
        assert word in said


def test_a_stack_that_never_builds_builds_its_first_image_here(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    config = {
        "addressbook:cloud": "digitalocean",
        "addressbook:stableImage": PINNED,
        "addressbook:buildFromSource": "never",
    }
    monkeypatch.setattr(staging, "stack_config", lambda _: config)
    stage = prepare(lab, "prod")
    assert stack_file(stage)["addressbook:buildFromSource"] == "first"
    assert "buildFromSource is first in place of never" in " ".join(stage.changed)


@pytest.mark.parametrize("stack", ["prod", "prod-gcp", "prod-aws"])
def test_nothing_in_it_can_reach_a_real_account_or_cluster(lab: Lab, monkeypatch: pytest.MonkeyPatch, stack: str):
    cloud = simulated_cloud(stack)
    played = simulation.of_cloud(cloud)
    login = prepare(lab, stack).login
    for name in (*played.hidden, *login):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("KUBECONFIG", "/real")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://real")
    monkeypatch.setenv("PULUMI_IGNORE_AMBIENT_PLUGINS", "true")
    stage = prepare(lab, stack)
    assert "real" not in stage.environment.values()
    assert login.keys() <= stage.environment.keys()
    assert not any("/real" in value for name, value in stage.environment.items() if name in ("KUBECONFIG", "PATH"))
    assert "PULUMI_IGNORE_AMBIENT_PLUGINS" not in stage.environment
    assert stage.environment["PULUMI_BACKEND_URL"] == f"file://{stage.folder}"
    first = Path(stage.environment["PATH"].split(":")[0])
    assert {each.name for each in first.iterdir()} == {f"pulumi-resource-{cloud}", *played.commands}


def test_keys_of_the_real_account_are_left_out_and_that_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    config = {"addressbook:cloud": "gcp", "gcp:project": "acme-prod-1", "gcp:impersonateServiceAccount": "somebody"}
    monkeypatch.setattr(staging, "stack_config", lambda _: config)
    stage = prepare(lab, "prod-gcp")
    assert stack_file(stage) == {
        "addressbook:cloud": "gcp",
        "addressbook:namespace": "rehearsal-prod-gcp",
        "gcp:project": "simulated-project",
    }
    assert "gcp:impersonateServiceAccount is left out" in " ".join(stage.changed)


def test_a_cloud_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert {"digitalocean", "gcp"} <= set(simulation.clouds())
    (tmp_path / "mars").mkdir()
    (tmp_path / "mars" / "simulation.py").touch()
    monkeypatch.setattr(simulation, "PLUGINS", tmp_path)
    assert simulation.clouds() == ["mars"]


def test_the_environment_can_be_read_by_a_shell(lab: Lab):
    stage = prepare(lab, "prod")
    script = f'. {stage.write_environment()}; printf %s "$PULUMI_CONFIG_PASSPHRASE"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == stage.environment["PULUMI_CONFIG_PASSPHRASE"]


@pytest.mark.parametrize(("stack", "said"), [("nowhere", "There is no stack 'nowhere'"), ("dev", "cloud 'local'")])
def test_what_can_not_be_rehearsed_is_said(stack: str, said: str):
    with pytest.raises(LabError, match=said):
        simulated_cloud(stack)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "Example: python -m lab rehearse prod"),
        (["nowhere"], 2, "There is no stack 'nowhere'"),
        (["staging"], 2, "rehearse that one, python -m lab rehearse prod."),
        (["prod", "--fault", "flood:Vpc"], 2, "no fault that can be played"),
    ],
)
def test_the_command_line(arguments: list[str], code: int, said: str):
    command = [sys.executable, "-m", "lab", "rehearse", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_release_stack_of_another_project_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch):
    config = {"addressbook:cloud": "digitalocean", "addressbook:platformStack": "acme/addressbook/prod"}
    monkeypatch.setattr(staging, "stack_config", lambda _: config)
    with pytest.raises(LabError, match="on that of stack 'prod'"):
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
def test_what_is_there_is_told_by_what_it_was_made_with(planned: dict[str, Any], same: bool):
    there = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "name": "subnet-1234567", "tags": {"Name": "private-1"}}
    assert could_be(planned, there) is same
