"""The stand-ins for `aws`, `doctl` and `gcloud` answer as the real ones do, and read no login but the simulated one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.plugins.account import FAULT_VARIABLE, Record
from lab.plugins.aws import command as aws_command
from lab.plugins.aws import simulation as aws_simulation
from lab.plugins.aws.account import CALLER, KEY_VARIABLES
from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.command import NO_CREDENTIALS, REFUSED, WRONG_USE
from lab.plugins.digitalocean import doctl
from lab.plugins.digitalocean.cloud import DigitalOcean
from lab.plugins.digitalocean.simulation import SIMULATION
from lab.plugins.gcp import gcloud
from lab.plugins.gcp.cloud import GoogleCloud
from lab.tests.unit.plugins.simulated_accounts import PROJECT, delete

IDENTITY = ["sts", "get-caller-identity", "--output", "json"]
TOKEN = ["--region", "eu-central-1", "eks", "get-token", "--cluster-name", "ours", "--output", "json"]
CREDENTIAL = [*doctl.COMMAND, "--version=v1beta1", "ours"]


def test_aws_prints_the_caller(aws: Aws, capsys: pytest.CaptureFixture[str]):
    assert aws_command.main(IDENTITY) == 0
    assert json.loads(capsys.readouterr().out)["Arn"] == CALLER


def test_aws_logs_in_to_a_cluster_of_the_account(aws: Aws, capsys: pytest.CaptureFixture[str]):
    assert aws_command.main(TOKEN) == REFUSED
    assert "has no cluster ours in eu-central-1 (simulated aws)" in capsys.readouterr().err
    aws.account.put(Record("Cluster", "ours", {"region": "eu-central-1"}, {}, ready=True))
    assert aws_command.main(TOKEN) == 0
    credential = json.loads(capsys.readouterr().out)
    assert (credential["kind"], credential["status"]["clientKeyData"]) == ("ExecCredential", "key")
    assert aws_command.main([each.replace("eu-central-1", "eu-west-1") for each in TOKEN]) == REFUSED
    declared = {"region": "eu-central-1", "accessConfig": {"bootstrapClusterCreatorAdminPermissions": False}}
    aws.account.put(Record("Cluster", "ours", declared, {}, ready=True))
    assert aws_command.main(TOKEN) == REFUSED
    assert "has no access entry in the cluster ours" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [IDENTITY, TOKEN])
@pytest.mark.parametrize(
    ("variable", "value", "code", "message"),
    [
        (FAULT_VARIABLE, "expired", REFUSED, "An error occurred (ExpiredToken) when calling the Get"),
        (KEY_VARIABLES[0], "", NO_CREDENTIALS, "Unable to locate credentials"),
    ],
)
def test_aws_refuses_without_valid_credentials(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], variable: str, value: str, code: int, message: str,
):  # fmt: skip
    monkeypatch.setenv(variable, value)
    assert aws_command.main(arguments) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["s3", "ls"], ["eks", "get-token"], ["sts", "get-session-token"]])
def test_aws_knows_no_other_operations(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        aws_command.main(arguments)
    assert ended.value.code == WRONG_USE
    assert "(simulated aws)" in capsys.readouterr().err


def test_an_aws_rehearsal_cannot_reach_a_real_account(tmp_path: Path):
    folder = tmp_path / "rehearsals" / "prod-aws"
    folder.mkdir(parents=True)
    login = aws_simulation.SIMULATION.login(folder)
    assert {login[name] for name in KEY_VARIABLES} == {"of-the-simulated-account"}
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert not Path(login[name]).exists()
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"} <= set(aws_simulation.SIMULATION.hidden)


def test_the_authority_of_databases_outlives_the_account(state: Path):
    texts: set[str] = set()
    for stack in ("prod-aws", "another"):
        folder = state / "rehearsals" / stack
        folder.mkdir(parents=True)
        aws_simulation.SIMULATION.login(folder)
        texts.add((folder / aws_simulation.AUTHORITY).read_text())
    assert len(texts) == 1
    assert "BEGIN CERTIFICATE" in texts.pop()


@pytest.fixture
def home(digitalocean: DigitalOcean, state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody without a login, whose account has a cluster."""
    for name in ("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(state))
    digitalocean.account.put(Record("KubernetesCluster", "ours", {}, {}, ready=True))
    return state


def test_doctl_logs_in_to_a_cluster_of_the_account(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert doctl.main(CREDENTIAL) == 0
    assert json.loads(capsys.readouterr().out)["status"]["clientKeyData"] == "key"
    assert doctl.main([*doctl.COMMAND, "another"]) == 1
    assert "no Kubernetes cluster another" in capsys.readouterr().err


def test_doctl_does_not_read_the_providers_token(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    assert doctl.main(CREDENTIAL) == 1
    assert "there is no access token" in capsys.readouterr().err


def test_doctl_refuses_expired_credentials(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert doctl.main(doctl.ACCOUNT) == 0
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    for command in (doctl.ACCOUNT, CREDENTIAL):
        assert doctl.main(command) == 1
        assert "401 the credentials have expired" in capsys.readouterr().err


def test_doctl_reads_its_config_but_not_in_a_rehearsal(home: Path, monkeypatch: pytest.MonkeyPatch):
    file = home / ".config" / "doctl" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("output: text\n")
    assert doctl.main(CREDENTIAL) == 1
    file.write_text("access-token: x\n")
    assert doctl.main(CREDENTIAL) == 0
    for name, value in SIMULATION.login(home).items():
        monkeypatch.setenv(name, value if name == "DIGITALOCEAN_CONFIG" else "")
    assert doctl.main(CREDENTIAL) == 1, "a rehearsal would find the user's own login"


def quotas_of(region: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Ask the stand-in as the program does; return its exit code and what it prints."""
    asked = ["compute", "regions", "describe", region, "--project", PROJECT, "--format", "json(quotas)"]
    code = gcloud.main(asked)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_gcloud_prints_a_regions_quotas(
    gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert "the credentials have expired" in quotas_of("europe-west3", capsys)[1], "there is no token"
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.of-a-test")
    code, printed = quotas_of("europe-west3", capsys)
    assert code == 0
    assert {"metric": "SSD_TOTAL_GB", "limit": 500.0, "usage": 0.0} in json.loads(printed)["quotas"]
    monkeypatch.setenv(FAULT_VARIABLE, "quota:Region")
    assert '"limit": 250.0' in quotas_of("europe-west3", capsys)[1]
    assert "regions/europe-wset3' was not found" in quotas_of("europe-wset3", capsys)[1]
    monkeypatch.setenv(FAULT_VARIABLE, "expired")
    assert quotas_of("europe-west3", capsys)[0] == 1
    assert gcloud.main(["projects", "list"]) == 1


def test_gcloud_asks_an_enabled_api(
    gcp: GoogleCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.of-a-test")
    delete(gcp, "Service", f"{PROJECT}/compute.googleapis.com")
    assert "has not been used in project" in quotas_of("europe-west3", capsys)[1]
