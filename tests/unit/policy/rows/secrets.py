"""Secrets, and what only names one."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.rows import Row

CHART, TASK = "kubernetes:helm.sh/v3:Release", "aws:ecs/taskDefinition:TaskDefinition"
RUN = "gcp:cloudrunv2/service:Service"


def _named(name: str) -> dict[str, Any]:
    return {"values": {"auth": {name: "web"}}}


#: Names of a secret, each with a name like it that is one.
NAMES = {
    "existingSecret": "clientSecret",
    "existingSecretKey": "secretKey",
    "existingPasswordSecret": "existingPassword",
    "tlsSecret": "webhookSecret",
    "tls_secret": "app_secret",
    "sslCertSecret": "sharedSecret",
    "serverCASecret": "jwtSecret",
    "imagePullSecret": "accessTokenSecret",
    "registrySecret": "registryPassword",
    "passwordSecret": "adminPassword",
    "ca-secret": "replicaSecret",
    "credentialsSecret": "credentials",
    "secretName": "secret",
    "secretRef": "secretString",
    "secretArn": "secretBinary",
}
#: Environment variables that are secrets, although the words of a secret's name are in them.
VARIABLES = ("NODE_RED_CREDENTIAL_SECRET", "SESSION_PASSWORD_SECRET", "REPLICA_SECRET", "TLS_SECRET")
ROWS = [
    *(
        Row("secrets-only-as-secrets", CHART, _named(name), _named(secret), f"values.auth.{secret} ")
        for name, secret in NAMES.items()
    ),
    *(
        Row("secrets-only-as-secrets", CHART, {"env": {"NAME": "web"}}, {"env": {name: "web"}}, f"env.{name} ")
        for name in VARIABLES
    ),
    *(
        Row(
            "no-secrets-in-environment",
            "kubernetes:core/v1:ConfigMap",
            {"data": {"SECRET_NAME": "web"}},
            {"data": {name: "web"}},
            name,
        )
        for name in (*VARIABLES, "session-password-secret", "CLIENT_SECRET")
    ),
    Row(
        "secrets-only-as-secrets",
        RUN,
        {"env": [{"valueSource": {"secretKeyRef": {"secret": "db-password"}}}]},
        {"env": [{"valueSource": {"other": {"secret": "db-password"}}}]},
        "other.secret",
    ),
    Row(
        "secrets-only-as-secrets",
        "gcp:secretmanager/secretVersion:SecretVersion",
        {"secret": "projects/acme/secrets/db/versions/1"},
        {"secretData": "projects/acme"},
        "secretData",
    ),
    Row(
        "secrets-only-as-secrets",
        TASK,
        {"password": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db"},
        {"password": "arn:aws:iam::123456789012:role/db"},
        "password",
    ),
    # Whatever its name, in a Secret it is one.
    Row(
        "secrets-only-as-secrets",
        "kubernetes:core/v1:Secret",
        {"metadata": {"name": "web"}, "type": "kubernetes.io/tls"},
        {"stringData": {"tlsSecret": "web"}},
        "stringData.tlsSecret",
    ),
]
