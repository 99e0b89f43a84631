"""The config interface: what is accepted, and that all that is wrong is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import field_validator

from contract.project import PROJECT_ROOT, clouds, declared_keys
from contract.settings import COMMON, Keys
from stacks.parsing import ConfigError, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = f"registry.example/team/addressbook@{DIGEST}"


class LocalKeys(Keys):
    """The local platform's keys, without a kubeconfig to look contexts up in."""

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
    """Config as the engine hands it over: Pulumi.yaml's defaults, then the stack's own."""
    schema: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {key: _as_text(row["default"]) for key, row in schema.items() if "default" in row}
    return {**defaults, "cloud": "local", "kubeContext": "kind-kind", "registry": "localhost:5001", **changed}


def _as_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def faults(**changed: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(**changed), LocalKeys)
    return str(raised.value).splitlines()


def test_defaults_are_those_of_the_project_file():
    """Pulumi.yaml and the models declare the same keys with the same defaults; neither can drift alone."""
    from stacks.local import PlatformKeys

    settings = parse(engine_values(), LocalKeys)
    assert settings.release.stable_replicas == 3
    schema = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())["config"]
    for group in COMMON:
        for name, field in group.model_fields.items():
            key = field.alias
            assert key in schema, f"{key} is not declared in Pulumi.yaml"
            if not field.is_required():
                assert schema[key]["default"] == field.get_default(), name
    keys = {key for group in (*COMMON, PlatformKeys) for key in group.key_names()}
    assert keys <= declared_keys()


def test_every_declared_key_is_described():
    schema = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())["config"]
    for key, row in schema.items():
        assert row["type"] in {"string", "integer", "boolean", "array", "object"}, key
        assert row["description"].strip(), key
        assert "default" in row or key == "cloud", f"{key} would be mandatory for the engine"


def test_every_fault_is_named_at_once():
    found = faults(
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


def test_a_fault_says_key_value_what_is_allowed_and_how_to_set_it():
    (fault,) = faults(stableReplicas="0")
    assert fault == "stableReplicas = '0': must be 1 or more (`pulumi config set stableReplicas VALUE`)"


def test_a_tag_is_refused_where_a_digest_is_due():
    (fault,) = faults(canaryImage="registry.example/addressbook:v2", canaryReplicas="1")
    assert "REPOSITORY@sha256:" in fault


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (PINNED, PINNED),
        (f"localhost:5001/addressbook:v1.2@{DIGEST}", f"localhost:5001/addressbook@{DIGEST}"),
        (f"localhost:5001/addressbook@{DIGEST}", f"localhost:5001/addressbook@{DIGEST}"),
    ],
)
def test_a_pinned_image_is_named_by_repository_and_digest(given: str, kept: str):
    assert parse(engine_values(stableImage=given), LocalKeys).release.stable_image == kept


@pytest.mark.parametrize("image", [f"{PINNED}0", PINNED[:-1], f"@{DIGEST}", f"a b@{DIGEST}", DIGEST, "sourc"])
def test_what_only_looks_like_a_pinned_image_is_refused(image: str):
    assert faults(stableImage=image)


def test_canary_replicas_need_an_image():
    (fault,) = faults(canaryReplicas="2")
    assert "no canaryImage" in fault


def test_an_image_without_replicas_declares_no_canary():
    assert not parse(engine_values(canaryImage="source"), LocalKeys).release.has_canary


def test_traffic_to_the_canary_needs_one():
    fault, *others = faults(traffic="canary", stableReplicas="-1")[::-1]
    assert len(others) == 1, "one key's fault hides no other's"
    assert "no canary is declared" in fault
    assert parse(engine_values(traffic="canary", canaryImage="source", canaryReplicas="1"), LocalKeys)


def test_stable_is_not_set_to_source():
    assert "leave stableImage unset" in faults(stableImage="source")[0]


def test_unknown_cloud_names_those_there_are():
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(cloud="azure"), None)
    assert "cloud = 'azure': no such cloud; one of: " in str(raised.value)
    assert "local" in clouds()


def test_misspelt_key_gets_a_suggestion():
    (fault,) = faults(stabelReplicas="3")
    assert "did you mean `stableReplicas`?" in fault


def test_key_of_another_cloud_is_refused():
    class OtherKeys(Keys):
        region: str = ""

    with pytest.raises(ConfigError) as raised:
        parse(engine_values(cloud="other"), OtherKeys)
    assert "kubeContext = 'kind-kind': cloud `other` has no use for it" in str(raised.value)


def test_missing_mandatory_key_of_the_platform():
    (fault,) = faults(kubeContext="")
    assert fault.startswith("kubeContext: is not set")


def test_secret_environment_in_plain_text_is_refused_and_never_shown():
    values = engine_values(secretEnvironment='{"TOKEN": "hunter2"}')
    with pytest.raises(ConfigError) as raised:
        parse(values, LocalKeys)
    assert "hunter2" not in str(raised.value)
    settings = parse(values, LocalKeys, secret_keys={"secretEnvironment"})
    assert settings.service.secret_environment == {"TOKEN": "hunter2"}
    assert "hunter2" not in repr(settings)


def test_wrong_name_in_the_secret_environment_does_not_show_its_value():
    with pytest.raises(ConfigError) as raised:
        parse(engine_values(secretEnvironment='{"BAD NAME": "hunter2"}'), LocalKeys, {"secretEnvironment"})
    assert "hunter2" not in str(raised.value)


def test_objects_and_arrays_are_read():
    values = engine_values(environment='{"A": "1"}', migrateCommand="[]", egressPorts="[443, 6379]")
    service = parse(values, LocalKeys).service
    assert (service.environment, service.migrate_command, service.egress_ports) == ({"A": "1"}, [], [443, 6379])


def test_ports_may_not_coincide():
    assert "both 3000" in faults(metricsPort="3000")[0]


def test_missing_build_context_only_matters_when_something_is_built(tmp_path: Path):
    assert faults(buildContext=str(tmp_path))[0].startswith("buildContext")
    assert parse(engine_values(buildContext=str(tmp_path), stableImage=PINNED), LocalKeys)
