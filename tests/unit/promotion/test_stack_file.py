"""Editing `Pulumi.<stack>.yaml`: one line for each key, the rest untouched, never half a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from promotion.errors import WRONG_USE, CommandError
from promotion.state.stack_file import Edits, StackFile, difference

FILE = """# The owner of this stack.
config:
  addressbook:cloud: local
  # The registry of the office.
  addressbook:registry: registry.example:5000
  addressbook:stableReplicas: "3"   # three nodes
  addressbook:environment:
    GREETING: "hello: you"
  addressbook:secretEnvironment:
    TOKEN:
      secure: v1:abc
encryptionsalt: v1:salt
"""
IMAGE = f"registry.example:5000/addressbook@sha256:{'a' * 64}"


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(FILE)
    return StackFile(path)


def changed(file: StackFile, edits: Edits) -> list[str]:
    return difference(file.text(), file.edited(edits))


def test_a_changed_key_is_a_one_line_diff(file: StackFile):
    assert changed(file, {"stableReplicas": "2"}) == [
        '-  addressbook:stableReplicas: "3"   # three nodes',
        '+  addressbook:stableReplicas: "2"   # three nodes',
    ]


def test_new_keys_are_placed_in_the_order_of_the_schema(file: StackFile):
    text = file.edited({"canaryReplicas": "1", "canaryImage": IMAGE, "stableImage": IMAGE})
    keys = list(yaml.safe_load(text)["config"])
    assert keys.index("addressbook:stableImage") == keys.index("addressbook:registry") + 1
    assert keys[keys.index("addressbook:stableReplicas") :][:3] == [
        "addressbook:stableReplicas",
        "addressbook:canaryImage",
        "addressbook:canaryReplicas",
    ]
    assert "# The registry of the office." in text
    assert text.endswith("encryptionsalt: v1:salt\n")


def test_a_removed_key_leaves_no_trace(file: StackFile):
    before = file.text()
    file.write(file.edited({"canaryImage": IMAGE, "traffic": "stable"}))
    file.write(file.edited({"canaryImage": None, "traffic": None}))
    assert file.text() == before


def test_removing_an_unset_key_changes_nothing(file: StackFile):
    assert changed(file, {"canaryImage": None}) == []


@pytest.mark.parametrize("value", ["3", "true", "a: b", "# no comment", "healthy sha256:aa 2026-01-01T00:00:00Z"])
def test_a_written_value_is_read_back_as_text(file: StackFile, value: str):
    file.write(file.edited({"canaryVerdict": value}))
    assert yaml.safe_load(file.text())["config"]["addressbook:canaryVerdict"] == value
    assert file.values()["canaryVerdict"] == value


@pytest.mark.parametrize("text", ["config: {}\n", "config:\n", "encryptionsalt: v1:salt\n", ""])
def test_the_first_key_of_a_file(file: StackFile, text: str):
    file.path.write_text(text)
    file.write(file.edited({"stableReplicas": "2", "traffic": "stable"}))
    assert yaml.safe_load(file.text())["config"] == {
        "addressbook:stableReplicas": "2",
        "addressbook:traffic": "stable",
    }


@pytest.mark.parametrize(
    "text",
    ['config: {"addressbook:stableReplicas": "3"}\n', "config:\n  addressbook:stableReplicas: >-\n    3\n"],
)
def test_a_file_that_cannot_be_edited_by_line_is_refused(file: StackFile, text: str):
    file.path.write_text(text)
    with pytest.raises(CommandError, match="on its own line") as refused:
        file.edited({"stableReplicas": "2"})
    assert refused.value.code == WRONG_USE
    assert file.text() == text


def test_secrets_are_not_values(file: StackFile):
    assert set(file.values()) == {"cloud", "registry", "stableReplicas", "environment", "secretEnvironment"}
    file.path.write_text("config:\n  addressbook:canaryImage:\n    secure: v1:abc\n")
    assert file.values() == {}


def test_a_failed_write_leaves_only_the_old_file(file: StackFile, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        file.write("config: {}\n")
    assert [path.name for path in file.path.parent.iterdir()] == ["Pulumi.dev.yaml"]
    assert file.text() == FILE


def test_a_write_keeps_permissions_and_links(file: StackFile, tmp_path: Path):
    file.path.chmod(0o640)
    link = tmp_path / "Pulumi.linked.yaml"
    link.symlink_to(file.path)
    StackFile(link).write("config: {}\n")
    assert link.is_symlink()
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert file.text() == "config: {}\n"


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(CommandError, match=r"there is no Pulumi\.shop\.yaml") as refused:
        StackFile.of("shop", tmp_path)
    assert refused.value.code == WRONG_USE
