"""What the state tells of a release stack whose first update was killed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from promotion.state.unfinished_stack import unfinished_config, unfinished_file

ENDS = {"addressbook/expires": "2026-12-03T15:00Z", "addressbook/platform-stack": "acme/shop/trunk"}
CONFIG = {"platformStack": "acme/shop/trunk", "namespace": "shop-pr-1", "expires": "2026-12-03T15:00Z"}


def namespace(annotations: dict[str, str] | None) -> dict[str, Any]:
    metadata = {"name": "shop-pr-1", **({"annotations": annotations} if annotations else {})}
    return {"urn": "…::namespace", "type": "kubernetes:core/v1:Namespace", "inputs": {"metadata": metadata}}


@pytest.mark.parametrize(
    ("deployment", "config"),
    [
        ({"resources": [{"type": "pulumi:pulumi:Stack"}, namespace(ENDS)]}, CONFIG),
        ({"pending_operations": [{"resource": namespace(ENDS), "type": "creating"}]}, CONFIG),
        ({"resources": [namespace(None)]}, {}),
        ({"resources": [namespace({"addressbook/expires": "2026-12-03T15:00Z"})]}, {}),
        ({"resources": [{"type": "kubernetes:core/v1:Namespace", "inputs": None}]}, {}),
        ({}, {}),
    ],
    ids=["created", "being created", "without an end", "without a platform", "without inputs", "empty"],
)
def test_the_namespace_tells_what_the_history_lacks(deployment: dict[str, Any], config: dict[str, str]):
    assert unfinished_config(deployment) == config
    text = unfinished_file(deployment, "shop:")
    assert bool(text) is bool(config)
    assert not text or yaml.safe_load(text)["config"] == {f"shop:{key}": value for key, value in config.items()}


@pytest.mark.parametrize(
    ("provider", "settings"),
    [
        ({"type": "passphrase", "state": {"salt": "v1:abc"}}, {"encryptionsalt": "v1:abc"}),
        (
            {"type": "cloud", "state": {"url": "awskms://alias/ours", "encryptedkey": "abc"}},
            {"secretsprovider": "awskms://alias/ours", "encryptedkey": "abc"},
        ),
        ({"type": "service", "state": {"owner": "acme"}}, {}),
        (None, {}),
    ],
    ids=["passphrase", "key service", "Pulumi Cloud", "none"],
)
def test_its_file_can_decrypt_the_state(provider: Any, settings: dict[str, str]):
    document = yaml.safe_load(unfinished_file({"resources": [namespace(ENDS)], "secrets_providers": provider}, "shop:"))
    assert {key: value for key, value in document.items() if key != "config"} == settings
