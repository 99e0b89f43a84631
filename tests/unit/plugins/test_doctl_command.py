"""The stand-in for `doctl` takes its login from where the real one does, and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Account, Record
from lab.plugins.digitalocean.doctl import ACCOUNT, COMMAND, main
from lab.plugins.digitalocean.simulation import SIMULATION

CREDENTIAL = [*COMMAND, "--version=v1beta1", "ours"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody without a login, whose account has a cluster."""
    for name in ("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    lab = Lab.from_environment()
    user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    lab.kubeconfig.write_text(json.dumps({"users": [{"user": user}]}))
    Account(lab, "digitalocean").put(Record("KubernetesCluster", "ours", {}, {}, made=True))
    return tmp_path


def test_it_logs_in_to_a_cluster_of_the_account(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert main(CREDENTIAL) == 0
    assert json.loads(capsys.readouterr().out)["status"]["clientKeyData"] == "key"
    assert main([*COMMAND, "another"]) == 1
    assert "no Kubernetes cluster another" in capsys.readouterr().err


def test_a_token_for_the_provider_alone_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    assert main(CREDENTIAL) == 1
    assert "there is no access token" in capsys.readouterr().err


def test_expired_credentials_stop_every_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert main(ACCOUNT) == 0
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    for command in (ACCOUNT, CREDENTIAL):
        assert main(command) == 1
        assert "401 the credentials have expired" in capsys.readouterr().err


def test_its_config_is_a_login(home: Path, monkeypatch: pytest.MonkeyPatch):
    file = home / ".config" / "doctl" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("output: text\n")
    assert main(CREDENTIAL) == 1
    file.write_text("access-token: x\n")
    assert main(CREDENTIAL) == 0
    for name, value in SIMULATION.login(home).items():
        monkeypatch.setenv(name, value if name == "DIGITALOCEAN_CONFIG" else "")
    assert main(CREDENTIAL) == 1, "a rehearsal would find the user's own login"
