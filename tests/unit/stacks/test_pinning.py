"""When a stack may build from source: always, in its first update, never."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from contract.settings import ReleaseSettings
from stacks import pinning, platform_reference
from stacks.parsing import ConfigError, parse

PINNED = f"registry.example/addressbook@sha256:{'a' * 64}"
RAN_BEFORE = {"tracks": {"stable": {"image": PINNED, "replicas": 3, "share": 100}}}


@pytest.fixture
def previous_outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Outputs of the stack's last update; the test fills them."""
    outputs: dict[str, Any] = {}

    def invoke(token: str, arguments: dict[str, str]) -> SimpleNamespace:
        assert token == "pulumi:pulumi:readStackOutputs"
        assert arguments == {"name": "acme/addressbook/prod"}
        return SimpleNamespace(value={"outputs": outputs})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    for name, value in {"organization": "acme", "project": "addressbook", "stack": "prod"}.items():
        monkeypatch.setattr(pulumi, f"get_{name}", lambda value=value: value)
    return outputs


def settings(**values: Any) -> ReleaseSettings:
    return ReleaseSettings.model_validate({"buildFromSource": "first", **values})


def test_the_first_update_may_build(previous_outputs: dict[str, Any]):
    pinning.refuse_unpinned(settings())
    previous_outputs["url"] = "(an update that failed before the tracks)"
    pinning.refuse_unpinned(settings())


def test_the_second_update_may_not_build(previous_outputs: dict[str, Any]):
    previous_outputs.update(RAN_BEFORE)
    with pytest.raises(pulumi.RunError, match="nothing was changed") as refused:
        pinning.refuse_unpinned(settings(canaryImage="source", canaryReplicas=1))
    first, second = str(refused.value).splitlines()[1:]
    assert f"pulumi config set stableImage {PINNED}" in first
    assert "promotion canary --image source" in second


@pytest.mark.parametrize(("failed_reads", "read"), [(2, True), (9, False)])
def test_a_state_that_is_being_written_is_read_again(
    previous_outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, failed_reads: int, read: bool
):
    previous_outputs.update(RAN_BEFORE)
    original = pulumi.runtime.invoke
    failures = iter(range(failed_reads))

    def invoke(token: str, arguments: dict[str, str]) -> Any:
        if next(failures, None) is not None:
            raise RuntimeError(f"invocation of {token} returned an error: failed to load checkpoint: EOF")
        return original(token, arguments)

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(platform_reference, "PAUSES", (0, 0, 0))
    with pytest.raises(pulumi.RunError) as refused:
        pinning.refuse_unpinned(settings())
    assert "nothing was changed" in str(refused.value)
    assert ("pulumi config set stableImage" in str(refused.value)) is read
    assert ("cannot be read" in str(refused.value) and "load checkpoint: EOF" in str(refused.value)) is not read


def test_pinned_images_are_accepted(previous_outputs: dict[str, Any]):
    previous_outputs.update(RAN_BEFORE)
    pinning.refuse_unpinned(settings(stableImage=PINNED))
    pinning.refuse_unpinned(settings(stableImage=PINNED, buildAhead=True))
    pinning.refuse_unpinned(settings(stableImage=PINNED, canaryImage="source", canaryReplicas=0))


def test_other_stacks_may_always_build(previous_outputs: dict[str, Any]):
    previous_outputs.update(RAN_BEFORE)
    pinning.refuse_unpinned(settings(buildFromSource="always"))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({}, "stableImage"),
        ({"stableImage": PINNED, "canaryImage": "source", "canaryReplicas": "1"}, "canaryImage"),
        ({"stableImage": PINNED, "buildAhead": "true"}, "buildAhead"),
    ],
)
def test_never_refuses_builds(config: dict[str, str], key: str):
    with pytest.raises(ConfigError, match=f"{key}: this stack builds nothing"):
        parse({"buildFromSource": "never", **config}, None)


def test_never_accepts_pinned_images():
    with pytest.raises(ConfigError) as refused:  # because there is no cloud
        parse({"buildFromSource": "never", "stableImage": PINNED, "canaryImage": PINNED, "canaryReplicas": "1"}, None)
    assert "builds nothing" not in str(refused.value)
