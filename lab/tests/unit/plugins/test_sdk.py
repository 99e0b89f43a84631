"""Property tables are read from the SDK once, and from the cache afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.layout import Lab
from lab.plugins import sdk

CLUSTER = ("pulumi_digitalocean", "index", "DatabaseCluster")


def test_a_schema_has_what_the_sdk_declares():
    schema = sdk.resource_schema(*CLUSTER)
    region, windows = schema.inputs["region"], schema.inputs["maintenanceWindows"]
    assert (region.required, region.type.accepts, "fra1" in region.type.values) == (True, (str,), True)
    assert windows.type.accepts == (list,) and windows.type.element is not None
    assert windows.type.element.fields is not None and set(windows.type.element.fields) == {"day", "hour"}
    assert {"host", "region", "uri"} <= schema.outputs
    assert {"password", "uri", "privateUri"} <= schema.secrets
    function = sdk.function_schema("pulumi_aws", "eks", "getAddonVersion")
    assert {"addonName", "mostRecent"} <= function.arguments
    assert "version" in function.results


def test_the_sdk_is_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lab = Lab.from_environment()
    paper = Lab(lab.name, lab.network, tmp_path)
    monkeypatch.setattr(Lab, "from_environment", staticmethod(lambda: paper))
    sdk.resource_schema.cache_clear()
    first = sdk.resource_schema(*CLUSTER)
    sdk.resource_schema.cache_clear()
    monkeypatch.setattr(sdk, "import_module", None)
    assert sdk.resource_schema(*CLUSTER) == first
