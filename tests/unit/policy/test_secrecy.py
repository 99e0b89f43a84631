"""Policies for secrets, in the state and in the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policy.secrecy import credential, is_secret_name
from tests.unit.policy.conftest import BY_NAME, Verdict, secret
from tests.unit.policy.unknown import UNKNOWN
from tests.unit.policy.workload import DEPLOYMENT, container, deployment, pod

Check = Callable[..., Verdict]
MARKED, SHOWN = "secrets-only-as-secrets", "no-secrets-in-environment"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
# Split in two, so that secret scanners do not report them.
AWS_KEY = "AKIA" + "A1B2C3D4E5F6G7H8"
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("kind", "props", "where"),
    [
        ("aws:rds/instance:Instance", {"password": "plain"}, "password"),
        ("aws:rds/cluster:Cluster", {"masterPassword": "plain"}, "masterPassword"),
        ("aws:secretsmanager/secretVersion:SecretVersion", {"secretString": "plain"}, "secretString"),
        ("gcp:sql/user:User", {"password": "plain"}, "password"),
        ("gcp:sql/databaseInstance:DatabaseInstance", {"rootPassword": "plain"}, "rootPassword"),
        ("docker:index/image:Image", {"registry": {"username": "me", "password": "plain"}}, "registry.password"),
        ("pulumi:providers:digitalocean", {"token": "plain"}, "token"),
        ("kubernetes:core/v1:Secret", {"stringData": {"PGHOST": "plain"}}, "stringData.PGHOST"),
        ("kubernetes:core/v1:Secret", {"data": {"PGHOST": "cGxhaW4="}}, "data.PGHOST"),
        ("any:thing:Thing", {"list": [{"apiKey": "plain"}]}, "list.0.apiKey"),
        ("any:thing:Thing", {"text": f"key {AWS_KEY}"}, "text"),
    ],
)
def test_unmarked_secrets_are_reported(check: Check, kind: str, props: dict[str, Any], where: str):
    verdict = check(MARKED, kind, props)
    assert len(verdict.messages) == 1
    assert str(verdict).startswith(f"{where} ")
    assert "pulumi config set --secret" in str(verdict)
    assert "plain" not in str(verdict).replace("in plain text", "")
    assert AWS_KEY not in str(verdict)


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        ("aws:rds/instance:Instance", {"password": secret("hidden"), "username": "postgres"}),
        ("docker:index/image:Image", {"registry": secret({"username": "me", "password": "hidden"})}),
        ("kubernetes:core/v1:Secret", {"stringData": secret({"PGHOST": "hidden"})}),
        ("kubernetes:core/v1:Secret", {"data": {"PGHOST": secret("hidden")}}),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "required"}}),
        ("aws:efs/fileSystem:FileSystem", {"creationToken": "files"}),
        ("aws:kms/alias:Alias", {"targetKeyId": "1234"}),
        (DEPLOYMENT, deployment(pod(automountServiceAccountToken=False))),
        ("random:index/randomPassword:RandomPassword", {"length": 32, "__defaults": ["password"]}),
        ("any:thing:Thing", {"password": ""}),
    ],
)
def test_marked_secrets_and_harmless_values_pass(check: Check, kind: str, props: dict[str, Any]):
    assert check(MARKED, kind, props) == Verdict()


def test_unknown_secret_is_checked_later(check: Check):
    verdict = check(MARKED, "gcp:sql/user:User", {"password": UNKNOWN, "clientSecret": "plain"})
    assert verdict.unknown
    assert str(verdict).startswith("clientSecret")
    assert check(MARKED, "gcp:sql/user:User", {"name": UNKNOWN}) == Verdict()


def test_other_levels_report_that_marks_are_invisible(check: Check, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BY_NAME[MARKED], "has_remediation", lambda: False)
    assert "leave secrets-only-as-secrets at `remediate`" in str(check(MARKED, "any:thing:Thing", {}))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"name": "DB_PASSWORD", "value": "x"}, "variable DB_PASSWORD of container `service`"),
        ({"name": "DB_PASSWORD", "value": UNKNOWN}, "by its name"),
        ({"name": "DB_PASSWORD", "value": secret("x")}, "secretEnvironment"),
        ({"name": "DATABASE_URL", "value": "postgres://ada:lovelace@db/demo"}, "a URL with a password"),
        ({"name": "KEY", "value": PRIVATE_KEY}, "a private key"),
    ],
)
def test_credentials_in_the_environment_are_refused(check: Check, variable: dict[str, str], message: str):
    verdict = check(SHOWN, DEPLOYMENT, deployment(pod(container(env=[variable]))))
    assert len(verdict.messages) == 1
    assert message in str(verdict)
    assert "lovelace" not in str(verdict)


def test_harmless_environment_passes(check: Check):
    variables = [
        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db-params", "key": "DB_PASSWORD"}}},
        {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/secrets/postgres/password"},
        {"name": "URL", "value": "postgres://db/demo"},
    ]
    assert check(SHOWN, DEPLOYMENT, deployment(pod(container(env=variables)))) == Verdict()
    assert check(SHOWN, DEPLOYMENT, deployment(pod(container(env=[{"name": "HOST", "value": UNKNOWN}])))).unknown


@pytest.mark.parametrize("data", [{"api-token": "x"}, {"settings": AWS_KEY}])
def test_credentials_in_config_maps_are_refused(check: Check, data: dict[str, str]):
    assert len(check(SHOWN, CONFIG_MAP, {"data": data}).messages) == 1
    assert check(SHOWN, CONFIG_MAP, {"data": {"METRICS_PORT": "9464"}}) == Verdict()


def test_credential_formats():
    assert credential("do" + "p_v1_" + "a1" * 32) == "a DigitalOcean token"
    assert credential("gh" + "p_" + "a" * 36) == "a GitHub token"
    assert credential("AI" + "za" + "b" * 35) == "a Google API key"
    assert credential("xo" + "xb-1234567890-abc") == "a Slack token"
    assert credential("ey" + "Jhbdef_hij.ey" + "Jzdwxyz12.c2lnbmF0dXJl") == "a signed token (JWT)"
    assert credential("registry.example/addressbook@sha256:" + "a" * 64) is None
    assert credential("https://registry.example:5000/a@b") is None


def test_secret_names():
    assert all(map(is_secret_name, ("password", "DB_PASSWORD", "auth-token", "secretAccessKey", "clientSecret")))
    assert not any(map(is_secret_name, ("secretName", "passwordLength", "tokens", "publicKey", "clientToken")))
