"""What only Google Cloud would refuse of a config."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("size", ["db-f1-micro", "db-custom-1-3840", "db-custom-2-13312", "db-custom-96-638976"])
def test_valid_sizes_are_accepted(keys: Callable[..., Any], size: str):
    assert keys(databaseSize=size).database_size == size


@pytest.mark.parametrize("cidr", ["office", "203.0.113.1/24", "2001:db8::/32"])
def test_an_invalid_range_is_reported(errors: Callable[..., list[str]], cidr: str):
    (error,) = errors(apiServerAccess=json.dumps(["198.51.100.7/32", cidr]))
    assert error.startswith(f"apiServerAccess.1 = '{cidr}'")


def test_the_final_snapshot_can_be_declined(keys: Callable[..., Any]):
    assert keys().final_snapshot is True
    assert keys(finalSnapshot="false").final_snapshot is False


@pytest.mark.parametrize("project", ["Acme Production", "acme", "123456789012", "acme-"])
def test_an_invalid_project_id_is_refused(errors: Callable[..., list[str]], project: str):
    (error,) = errors(**{"gcp:project": project})
    assert error.startswith(f"gcp:project = '{project}'")
