"""The stand-in for `aws` answers what a stack asks of the real one, in its words and with its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.aws.account import CALLER, KEY_VARIABLES
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.command import NO_CREDENTIALS, REFUSED, WRONG_USE, main
from lab.plugins.aws.simulation import AUTHORITY, SIMULATION

IDENTITY = ["sts", "get-caller-identity", "--output", "json"]
TOKEN = ["--region", "eu-central-1", "eks", "get-token", "--cluster-name", "ours", "--output", "json"]


def test_it_says_who_is_calling(aws: Aws, capsys: pytest.CaptureFixture[str]):
    assert main(IDENTITY) == 0
    assert json.loads(capsys.readouterr().out)["Arn"] == CALLER


def test_it_logs_in_to_a_cluster_of_the_account(aws: Aws, capsys: pytest.CaptureFixture[str]):
    user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    aws.account.lab.kubeconfig.write_text(json.dumps({"users": [{"user": user}]}))
    assert main(TOKEN) == REFUSED
    assert "has no cluster ours in eu-central-1 (simulated aws)" in capsys.readouterr().err
    aws.account.put(Record("Cluster", "ours", {"region": "eu-central-1"}, {}, made=True))
    assert main(TOKEN) == 0
    credential = json.loads(capsys.readouterr().out)
    assert (credential["kind"], credential["status"]["clientKeyData"]) == ("ExecCredential", "key")
    assert main([each.replace("eu-central-1", "eu-west-1") for each in TOKEN]) == REFUSED


@pytest.mark.parametrize("arguments", [IDENTITY, TOKEN])
def test_without_valid_credentials_it_refuses(
    aws: Aws, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    assert main(arguments) == REFUSED
    assert "An error occurred (ExpiredToken) when calling the Get" in capsys.readouterr().err
    monkeypatch.setenv(FAULT_VARIABLE, "")
    monkeypatch.setenv(KEY_VARIABLES[0], "")
    assert main(arguments) == NO_CREDENTIALS
    assert "Unable to locate credentials" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["s3", "ls"], ["eks", "get-token"], ["sts", "get-session-token"]])
def test_it_knows_nothing_else(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG_USE
    assert "(simulated aws)" in capsys.readouterr().err


def test_a_rehearsals_login_is_of_no_real_account(tmp_path: Path):
    folder = tmp_path / "rehearsals" / "prod-aws"
    folder.mkdir(parents=True)
    login = SIMULATION.login(folder)
    assert {login[name] for name in KEY_VARIABLES} == {"of-the-simulated-account"}
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert not Path(login[name]).exists()
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"} <= set(SIMULATION.hidden)


def test_the_authority_of_databases_outlives_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Lab, "state", property(lambda _: tmp_path))
    texts: set[str] = set()
    for stack in ("prod-aws", "another"):
        folder = tmp_path / "rehearsals" / stack
        folder.mkdir(parents=True)
        SIMULATION.login(folder)
        texts.add((folder / AUTHORITY).read_text())
    assert len(texts) == 1
    assert "BEGIN CERTIFICATE" in texts.pop()
