"""The Makefile asks the lab only for stacks that run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
TARGETS = ("up", "down", "env", "preview", "canary", "image")


def make(folder: Path, *arguments: str, **variables: str) -> str:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "MAKE", "ADDRESSBOOK"))
    }
    result = subprocess.run(
        ["make", "--silent", *arguments], cwd=folder, env={**kept, **variables}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a lab, whose packages are installed."""
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").touch()
    return tmp_path


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("config", "arguments", "in_lab"),
    [
        ("kubeContext: addressbook-lab", [], True),
        ("kubeContext: addressbook-lab", ["CONTEXT=kind-x"], False),
        ("kubeContext: kind-x", [], False),
        ('kubeContext: "kind-x" # mine', ["CONTEXT=addressbook-lab"], True),
        ('kubeContext: "addressbook-lab" # the lab', [], True),
        ("cloud: gcp", [], False),
    ],
)
def test_only_the_labs_stacks_ask_the_lab(
    project: Path, target: str, config: str, arguments: list[str], in_lab: bool
) -> None:
    for prefix in ("addressbook:", ""):
        (project / "Pulumi.dev.yaml").write_text(f"config:\n  {prefix}{config}\n")
        assert ("-m lab" in make(project, "--dry-run", target, *arguments)) is in_lab


def test_a_local_stack_keeps_its_state_in_a_folder(project: Path) -> None:
    lines = make(project, "env", "CONTEXT=kind-x", HOME=str(project), XDG_STATE_HOME="")
    assert f"PULUMI_BACKEND_URL='file://{project}/.local/state/addressbook/pulumi'" in lines.replace('"', "'")
    assert f"PULUMI_CONFIG_PASSPHRASE_FILE='{project}/Pulumi.local.passphrase'" in lines.replace('"', "'")


def test_the_users_pulumi_settings_are_kept(project: Path) -> None:
    settings = {"PULUMI_BACKEND_URL": "s3://bucket", "PULUMI_CONFIG_PASSPHRASE": "mine"}
    lines = make(project, "env", "CONTEXT=kind-x", **settings)
    assert "s3://bucket" in lines
    assert "PULUMI_CONFIG_PASSPHRASE" not in lines


def test_a_clouds_stack_gets_no_backend_and_no_passphrase(project: Path) -> None:
    (project / "Pulumi.prod.yaml").write_text("config:\n  addressbook:cloud: digitalocean\n")
    lines = make(project, "env", "STACK=prod")
    assert "PULUMI_SKIP_UPDATE_CHECK" in lines
    assert not [word for word in ("BACKEND", "PASSPHRASE") if word in lines]


@pytest.mark.parametrize(
    ("arguments", "variables", "passed"),
    [([], {}, ""), (["TO=3"], {}, '--to "3"'), (["TO="], {}, '--to ""'), ([], {"TO": ""}, '--to ""')],
)
def test_rollback_passes_an_empty_target_on(
    project: Path, arguments: list[str], variables: dict[str, str], passed: str
) -> None:
    """`make rollback TO=$RELEASE` must not remove the canary when the variable is unset; the command refuses it."""
    (project / "Pulumi.dev.yaml").write_text("config:\n  addressbook:cloud: gcp\n")
    line = make(project, "--dry-run", "rollback", *arguments, **variables)
    assert line.split("--stack dev")[1].strip() == passed
