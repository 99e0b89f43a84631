"""The config keys in ``Pulumi.yaml`` and in the reference page are those of the settings' models."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from contract.project import PROJECT_ROOT
from pipeline.cli import main
from pipeline.config_reference import FIRST, PAGE, platform_keys, stale, write


def test_generated_files_match_the_models():
    assert stale(PROJECT_ROOT) == [], "run `python -m pipeline config`"


def test_check_fails_and_names_a_stale_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / PAGE).parent.mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / PAGE, tmp_path / PAGE)
    project = (PROJECT_ROOT / "Pulumi.yaml").read_text()
    (tmp_path / "Pulumi.yaml").write_text(project.replace("default: 3\n", "default: 4\n"))
    monkeypatch.setattr("pipeline.cli.PROJECT_ROOT", tmp_path)
    assert main(["config", "--check"]) == 1
    assert "error: Pulumi.yaml: stale; run `python -m pipeline config`" in capsys.readouterr().err
    assert write(tmp_path) == [tmp_path / "Pulumi.yaml"]
    assert (tmp_path / "Pulumi.yaml").read_text() == project


def test_the_readme_lists_the_keys_that_people_set_first():
    rows = re.findall(r"^\| `(\w+)` \|", (PROJECT_ROOT / "README.md").read_text(), re.MULTILINE)
    assert [key for key in rows if key in FIRST] == list(FIRST)


def test_every_cloud_key_is_described():
    undescribed = [key.name for group in platform_keys().values() for key in group if not key.field.description]
    assert undescribed == []
