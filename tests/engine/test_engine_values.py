"""The engine and the commands read the same values from a stack file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promotion.errors import CommandError
from promotion.state.engine_yaml import normal_form
from promotion.state.stack_file import StackFile
from tests.project import Project
from tests.unit.promotion.engine_values import VALUES


@pytest.fixture
def project(new_project: Any, toolchain: dict[str, str]) -> Project:
    return new_project("values", toolchain, cloud="local")


def read(project: Project, config: str) -> dict[str, Any]:
    """Return the engine's config; the file has the keys' lines and the stack's encryption."""
    salt = [line for line in project.stack_file.read_text().splitlines() if line.startswith("encryptionsalt")]
    project.stack_file.write_text("\n".join(["config:", config, *salt, ""]))
    return json.loads(project.pulumi("config", "--json").stdout)


def test_engine_and_program_read_the_same_values(project: Project):
    keys = {f"key{number}": written for number, written in enumerate(VALUES)}
    engine = read(project, "\n".join(f"  {key}: {written}" for key, written in keys.items()))
    got = {key: normal_form(str(engine[f"addressbook:{key}"].get("value"))) for key in keys}
    assert got == {key: VALUES[written] for key, written in keys.items()}
    assert StackFile(project.stack_file).values() == got


@pytest.mark.parametrize("form", ["stableReplicas", '"stableReplicas"', "addressbook:config:stableReplicas"])
def test_engine_and_commands_read_every_form_of_a_key(project: Project, form: str):
    engine = read(project, f"  {form}: 8")
    assert engine["addressbook:stableReplicas"]["value"] == "8"
    file = StackFile(project.stack_file)
    file.write(file.edited({"stableReplicas": "5"}))
    edited = json.loads(project.pulumi("config", "--json").stdout)
    same = {key: entry for key, entry in edited.items() if key.rpartition(":")[2] == "stableReplicas"}
    assert same == {"addressbook:stableReplicas": {"value": "5", "secret": False}}


def test_two_forms_of_a_key_are_refused(project: Project):
    project.stack_file.write_text("config:\n  stableReplicas: 8\n  addressbook:stableReplicas: 3\n")
    done = project.run("python", "-m", "promotion", "rollback", "--stack", "values", check=False)
    assert done.returncode == 2, done.stderr
    assert "both `stableReplicas` and `addressbook:stableReplicas`" in done.stderr
    with pytest.raises(CommandError):
        StackFile(project.stack_file).values()
