"""What only AWS would refuse of a config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.components.aws.simulated import ADMINISTRATOR, AUTHORITY


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clusterAdministrators", '["platform-team"]'),
        ("clusterAdministrators", '["arn:aws:sts::123456789012:assumed-role/platform-team/anna"]'),
        ("clusterAdministrators", json.dumps([ADMINISTRATOR, ADMINISTRATOR])),
        ("apiServerAccess", '["here"]'),
        ("clusterViewers", '["everyone"]'),
    ],
)
def test_each_entry_of_a_list_is_checked(errors: Callable[..., list[str]], key: str, value: str):
    (error,) = errors(**{key: value})
    assert error.startswith(key)
    assert json.loads(value)[0] in error


def test_the_database_authority_is_checked(errors: Callable[..., list[str]], tmp_path: Path):
    (unset,) = errors(databaseAuthority="")
    assert "truststore.pki.rds.amazonaws.com/eu-central-1/eu-central-1-bundle.pem" in unset
    everywhere = tmp_path / "global-bundle.pem"
    everywhere.write_text(AUTHORITY.read_text() * 200)
    assert "more than one region" in errors(databaseAuthority=str(everywhere))[0]
    page = tmp_path / "page.pem"
    page.write_text("<html>not found</html>")
    assert "no certificates in PEM format" in errors(databaseAuthority=str(page))[0]


@pytest.mark.parametrize("value", ['{"vpc-cni": "latest"}', '{"aws-ebs-csi-driver": "v1.50.1-eksbuild.1"}'])
def test_invalid_addon_pins_are_refused(errors: Callable[..., list[str]], value: str):
    (error,) = errors(addonVersions=value)
    assert error.startswith(f"addonVersions.{next(iter(json.loads(value)))}")
