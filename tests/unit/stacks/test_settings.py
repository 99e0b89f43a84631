"""The config interface: what it accepts, and that it reports all errors at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field, field_validator

from contract.project import PROJECT_ROOT, clouds, declared_defaults
from contract.settings import Keys
from stacks.parsing import ConfigError, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = f"registry.example/team/addressbook@{DIGEST}"


class LocalKeys(Keys):
    """The local platform's keys, without a kubeconfig."""

    kube_context: str
    registry: str
    database_image: str = "postgres:15-bookworm"
    database_storage: str = "1Gi"

    @field_validator("kube_context")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value != "kind-kind":
            raise ValueError("no such context")
        return value


def engine_values(**changed: str) -> dict[str, str]:
    """Return config as the engine passes it: Pulumi.yaml's defaults, then the stack's own."""
    own = {"cloud": "local", "kubeContext": "kind-kind", "registry": "localhost:5001"}
    return {**declared_defaults(), **own, **changed}


def errors(**changed: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(**changed), LocalKeys)
    return str(raised.value).splitlines()


def test_declared_defaults_are_the_models_defaults():
    settings = parse(engine_values(), LocalKeys)
    for group in (settings.stack, settings.release, settings.service):
        for name, field in type(group).model_fields.items():
            assert field.is_required() or getattr(group, name) == field.get_default(), name


def test_every_key_is_described_and_optional_for_the_engine():
    schema = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())["config"]
    for key, row in schema.items():
        assert row["type"] in {"string", "integer", "boolean", "array", "object"}, key
        assert row["description"].strip(), key
        assert "default" in row or key == "cloud", f"{key} would be mandatory for the engine"


def test_all_errors_are_reported_at_once():
    found = errors(
        stableReplicas="-1",
        canaryReplicas="many",
        stableImage="registry.example/addressbook:latest",
        traffic="both",
        kubeContext="prod",
        namespace="Bad_Name",
    )
    for key in ("stableReplicas", "canaryReplicas", "stableImage", "traffic", "kubeContext", "namespace"):
        assert any(line.startswith(key) for line in found), (key, found)
    assert len(found) == 6


def test_an_error_names_key_value_limit_and_command():
    (error,) = errors(stableReplicas="0")
    assert error == "stableReplicas = '0': must be 1 or more (`pulumi config set stableReplicas VALUE`)"


def test_a_tag_instead_of_a_digest_is_refused():
    (error,) = errors(canaryImage="registry.example/addressbook:v2", canaryReplicas="1")
    assert "REPOSITORY@sha256:" in error


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (PINNED, PINNED),
        (f"localhost:5001/addressbook:v1.2@{DIGEST}", f"localhost:5001/addressbook@{DIGEST}"),
        (f"localhost:5001/addressbook@{DIGEST}", f"localhost:5001/addressbook@{DIGEST}"),
    ],
)
def test_a_pinned_image_loses_its_tag(given: str, kept: str):
    assert parse(engine_values(stableImage=given), LocalKeys).release.stable_image == kept


@pytest.mark.parametrize("image", [f"{PINNED}0", PINNED[:-1], f"@{DIGEST}", f"a b@{DIGEST}", DIGEST, "sourc"])
def test_an_invalid_pinned_image_is_refused(image: str):
    assert errors(stableImage=image)


def test_canary_replicas_need_an_image():
    (error,) = errors(canaryReplicas="2")
    assert "no canaryImage" in error


def test_an_image_without_replicas_declares_no_canary():
    assert not parse(engine_values(canaryImage="source"), LocalKeys).release.has_canary


def test_traffic_to_the_canary_needs_a_canary():
    error, *others = errors(traffic="canary", stableReplicas="-1")[::-1]
    assert len(others) == 1, "an error in one key hides no other"
    assert "no canary is declared" in error
    assert parse(engine_values(traffic="canary", canaryImage="source", canaryReplicas="1"), LocalKeys)


def test_stable_image_cannot_be_source():
    assert "leave stableImage unset" in errors(stableImage="source")[0]


def test_an_unknown_cloud_lists_the_clouds():
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(cloud="azure"), None)
    assert "cloud = 'azure': no such cloud; choose one of: " in str(raised.value)
    assert "local" in clouds()


def test_a_misspelt_key_gets_a_suggestion():
    (error,) = errors(stabelReplicas="3")
    assert "did you mean `stableReplicas`?" in error


def test_a_key_of_another_cloud_is_refused():
    class OtherKeys(Keys):
        region: str = ""

    with pytest.raises(ConfigError) as raised:
        parse(engine_values(cloud="other"), OtherKeys)
    assert "kubeContext = 'kind-kind': cloud `other` does not use this key" in str(raised.value)


def test_a_missing_mandatory_key_gets_an_example():
    class CloudKeys(LocalKeys):
        region: str = Field(examples=["fra1"])

    with pytest.raises(ConfigError) as raised:
        parse(engine_values(), CloudKeys)
    expected = "region: is not set and has no default (`pulumi config set region VALUE`, for example fra1)"
    assert str(raised.value) == expected


def test_plain_text_in_secret_environment_is_refused_and_hidden():
    values = engine_values(secretEnvironment='{"TOKEN": "hunter2"}')
    with pytest.raises(ConfigError) as raised:
        parse(values, LocalKeys)
    assert "hunter2" not in str(raised.value)
    settings = parse(values, LocalKeys, secret_keys={"secretEnvironment"})
    assert settings.service.secret_environment == {"TOKEN": "hunter2"}
    assert "hunter2" not in repr(settings)


def test_an_error_in_secret_environment_hides_the_value():
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(secretEnvironment='{"BAD NAME": "hunter2"}'), LocalKeys, {"secretEnvironment"})
    assert "hunter2" not in str(raised.value)


def test_objects_and_arrays_are_decoded():
    values = engine_values(environment='{"A": "1"}', migrateCommand="[]", egressPorts="[443, 6379]")
    service = parse(values, LocalKeys).service
    assert (service.environment, service.migrate_command, service.egress_ports) == ({"A": "1"}, [], [443, 6379])


def test_port_and_metrics_port_must_differ():
    assert "both 3000" in errors(metricsPort="3000")[0]


def test_a_missing_build_context_matters_only_for_builds(tmp_path: Path):
    assert errors(buildContext=str(tmp_path))[0].startswith("buildContext")
    assert parse(engine_values(buildContext=str(tmp_path), stableImage=PINNED), LocalKeys)


CANARY = {"canaryImage": PINNED, "canaryReplicas": "1"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            '{"replicas": 3}',
            "canarySettings.replicas: is not a setting of one track's pods; allowed: port, metricsPort,",
        ),
        ('{"secretEnvironment": {"A": "hunter2"}}', "canarySettings.secretEnvironment: is not a setting"),
        ('{"memoryLimit": "lots"}', "canarySettings.memoryLimit = 'lots': does not have the form"),
        ('{"memoryLimit": 512}', "canarySettings.memoryLimit = 512: must be text; put it in quotes"),
        ('{"environment": {"A-B": "1"}}', "canarySettings.environment.A-B = 'A-B': does not have the form"),
        ('{"environment": {"A": 1}}', "canarySettings.environment.A = 1: must be text; put it in quotes"),
        ('{"environment": "A=1"}', "canarySettings.environment = 'A=1': "),
        ('{"preStopSeconds": 600}', "canarySettings.preStopSeconds = 600: must be 120 or less"),
        ('{"port": 9464}', "canarySettings: the canary's metricsPort and port are both 9464"),
    ],
)
def test_errors_in_canary_settings_have_their_full_path(settings: str, expected: str):
    (error,) = errors(**CANARY, canarySettings=settings)
    assert error.startswith(expected)
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("config", "example"),
    [
        ({"memoryLimit": "lots"}, "256Mi"),
        ({**CANARY, "canarySettings": '{"memoryLimit": "lots"}'}, "256Mi"),
        ({"platformStack": "a b"}, "prod"),
        ({"buildPlatform": "intel"}, "linux/amd64"),
    ],
)
def test_an_error_in_a_values_form_gives_an_example(config: dict[str, str], example: str):
    assert errors(**config)[0].endswith(f" VALUE`, for example {example})")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"send": "TRACE /x"', "does not have the form ^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /"),
        ('"send": "GET /x", "form": {}', "a GET request sends no form: use POST, PUT or PATCH"),
        ('"send": "DELETE /x", "form": {}', "a DELETE request sends no form: use POST, PUT or PATCH"),
        ('"send": "HEAD /x", "body": 1', "a HEAD request sends no body: use another method"),
        ('"send": "POST /x", "body": 1, "form": {}', "has both a form and a body: leave one of them out"),
    ],
)
def test_a_test_request_that_cannot_be_sent_is_refused(fields: str, expected: str):
    (error,) = errors(testRequests=f"[{{{fields}}}]")
    assert error.startswith("testRequests.0")
    assert expected in error


PROMETHEUS = {"prometheus": "monitoring/prometheus:9090"}
CHECK = {"name": "orders", "query": "orders{track='$track'}", "better": "higher", "limit": 1}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"prometheus": "prometheus.example.com"}, "does not have the form"),
        ({"requestSelector": "track='$track'"}, "needs a Prometheus to ask: set `prometheus` too"),
        ({"checks": [CHECK]}, "needs a Prometheus to ask: set `prometheus` too"),
        ({**PROMETHEUS, "requestSelector": "app='shop'"}, "has no `$track`, so both tracks would have the same"),
        (
            {**PROMETHEUS, "checks": [{**CHECK, "query": "orders"}]},
            "has no `$track`, so both tracks would get",
        ),
        ({**PROMETHEUS, "checks": [{**CHECK, "limit": 0}]}, "must be a number above 0"),
        ({**PROMETHEUS, "checks": [{**CHECK, "limit": "ten"}]}, "or a percentage such as 10%"),
        ({**PROMETHEUS, "checks": [CHECK, CHECK]}, "has two checks named 'orders'"),
        ({"requestSource": "logs"}, "must be 'first', 'gateway', 'pods' or 'prometheus'"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(keys: dict[str, Any], expected: str):
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    (error,) = errors(**values)
    assert expected in error


def test_a_token_is_encrypted_and_only_sent_over_https():
    assert errors(prometheus="https://prometheus.example.com", prometheusToken="hunter2") == [
        "prometheusToken: is in plain text; encrypt it with `pulumi config set --secret prometheusToken`"
    ]
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(**PROMETHEUS, prometheusToken="hunter2"), LocalKeys, {"prometheusToken"})
    assert "only sent to a Prometheus whose address begins with https://" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_an_error_in_canary_settings_names_the_command():
    (error,) = errors(**CANARY, canarySettings='{"preStopSeconds": -1}')
    assert error.endswith("must be 0 or more (`pulumi config set --path canarySettings.preStopSeconds VALUE`)")


@pytest.mark.parametrize("key", ["canarySettings", "canarySecretEnvironment"])
def test_canary_settings_need_a_canary(key: str):
    value = '{"environment": {"A": "1"}}' if key == "canarySettings" else '{"TOKEN": "hunter2"}'
    for canary in ({}, {"canaryImage": PINNED}):
        with pytest.raises(ConfigError) as raised:
            parse(engine_values(**canary, **{key: value}), LocalKeys, {"canarySecretEnvironment"})
        assert str(raised.value).startswith(f"{key}: no canary is declared, so nothing tries these settings")
        assert "hunter2" not in str(raised.value)


def test_secrets_in_the_wrong_key_are_refused_and_hidden():
    plain = engine_values(**CANARY, canarySecretEnvironment='{"TOKEN": "hunter2"}')
    with pytest.raises(ConfigError) as raised:
        parse(plain, LocalKeys)
    assert str(raised.value).startswith("canarySecretEnvironment: is in plain text")
    for key, value in (("environment", '{"A": "hunter2"}'), ("canarySettings", '{"environment": {"A": "hunter2"}}')):
        with pytest.raises(ConfigError) as raised:
            parse(engine_values(**CANARY, **{key: value}), LocalKeys, {key})
        assert f"{key}: contains a secret" in str(raised.value)
        assert "hunter2" not in str(raised.value)


def test_a_variable_is_plain_or_secret_in_the_canary():
    values = engine_values(
        **CANARY, canarySettings='{"environment": {"A": "1"}}', canarySecretEnvironment='{"A": "hunter2"}'
    )
    with pytest.raises(ConfigError) as raised:
        parse(values, LocalKeys, {"canarySecretEnvironment"})
    assert str(raised.value) == "canarySettings.environment.A: is in canarySecretEnvironment too; remove one of them"


def test_a_migrated_image_is_not_migrated_otherwise_on_trial():
    (error,) = errors(**CANARY, stableImage=PINNED, canarySettings='{"migrateCommand": ["other"]}')
    assert error.startswith("canarySettings.migrateCommand: the canary runs stable's image")
    assert parse(engine_values(**CANARY, canarySettings='{"migrateCommand": ["other"]}'), LocalKeys)
