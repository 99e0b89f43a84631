"""Editing `Pulumi.<stack>.yaml`: one line for each key, the rest untouched, never half a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from contract.project import PROJECT_ROOT
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
    ("before", "edits", "after"),
    [
        # What is edited in place.
        ('config: {"addressbook:stableReplicas": "3"}\n', {"stableReplicas": "2"}, ': "2"}\n'),
        ("config: {a: 1, stableReplicas: 3, traffic: split}\n", {"stableReplicas": None}, "{a: 1, traffic: split}"),
        ("config: {stableReplicas: 3, traffic: split}\n", {"traffic": None}, "config: {stableReplicas: 3}\n"),
        ('config: {"addressbook:cloud": x}\n', {"traffic": "split"}, ', "addressbook:traffic": split}'),
        ("config:\n  stableReplicas: >-\n    3\n  b: 1\n", {"stableReplicas": "2"}, 'stableReplicas: "2"\n  b: 1\n'),
        ("config:\n  stableReplicas:   3   # c\n", {"stableReplicas": "2"}, 'stableReplicas:   "2"   # c\n'),
        ("config:\n  stableReplicas:  # c\n", {"stableReplicas": "2"}, 'stableReplicas: "2"  # c\n'),
        ("config:\n  stableReplicas: # c\n    3\n", {"stableReplicas": "2"}, 'stableReplicas: "2" # c\n'),
        ("config:\n  stableReplicas : 3\n", {"stableReplicas": "2"}, 'stableReplicas : "2"\n'),
        ("config:\n  ? stableReplicas\n  : 3\n", {"stableReplicas": "2"}, '  ? stableReplicas\n  : "2"\n'),
        ("config:\n  canaryImage: one\n    two\n  b: 1\n", {"canaryImage": None}, "config:\n  b: 1\n"),
        ("config:\n  'addressbook:traffic': 'it''s # one'  # c\n", {"traffic": "split"}, ": split  # c\n"),
        ("config:\n  b: &x 3\n  stableReplicas: *x\n", {"stableReplicas": "2"}, 'b: &x 3\n  stableReplicas: "2"\n'),
        ("config:\n  environment:\n    # c\n    A: b\n  # d\n", {"environment": '{"C": "d"}'}, ': {"C": "d"}\n  # d\n'),
        ("config:\n    - x\n", {"traffic": "split"}, "refused"),
        ("config: text\n", {"traffic": "split"}, "refused"),
        ("config:\n  stableReplicas: &x 3\n  b: *x\n", {"stableReplicas": "2"}, "refused"),
        ("config:\n  <<: {traffic: stable, a: 1}\n", {"traffic": None}, "refused"),
        # Where a new key goes.
        ("config:\n  cloud: local", {"traffic": "split"}, "  cloud: local\n  traffic: split"),
        ("config:\n    cloud: local\n# end\n", {"traffic": "split"}, "cloud: local\n    traffic: split\n# end\n"),
        ("config: # c\n\n", {"traffic": "split"}, "config: # c\n  addressbook:traffic: split\n\n"),
        ("config: {} # c\n", {"traffic": "split"}, "config: # c\n  addressbook:traffic: split\n"),
        ("a: 1 # c\n...\n", {"traffic": "split"}, "a: 1 # c\nconfig:\n  addressbook:traffic: split\n...\n"),
        ("config:\n  gcp:project: x\n", {"traffic": "split"}, "gcp:project: x\n  addressbook:traffic: split\n"),
        ("config:\r\n  cloud: x\r\n", {"traffic": "split"}, "config:\r\n  cloud: x\r\n  traffic: split\r\n"),
        ("\ufeffconfig:\n  traffic: stable\n", {"traffic": "split"}, "\ufeffconfig:\n  traffic: split\n"),
    ],
)
def test_an_edit_changes_nothing_else(file: StackFile, before: str, edits: Edits, after: str):
    file.path.write_bytes(before.encode())
    if after == "refused":
        with pytest.raises(CommandError) as refused:
            file.edited(edits)
        assert refused.value.code == WRONG_USE
        assert file.text() == before
        return
    text = file.edited(edits)
    assert {key: file.values(text).get(key) for key in edits} == edits
    assert after in text


STACK_FILES = sorted(PROJECT_ROOT.glob("Pulumi.*.yaml"))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.name)
def test_a_release_touches_only_its_own_lines(file: StackFile, path: Path, line_end: str):
    before = path.read_text().replace("\n", line_end)
    file.path.write_bytes(before.encode())
    trial = {"stableImage": IMAGE, "stableReplicas": "1", "canaryImage": IMAGE, "canaryReplicas": "1"}
    assert len(changed(file, trial)) == 5, "one changed line and three new ones"
    file.write(file.edited(trial))
    assert changed(file, {"canaryImage": None, "canaryReplicas": None}) == [
        f"-  addressbook:canaryImage: {IMAGE}",
        '-  addressbook:canaryReplicas: "1"',
    ]
    original = StackFile(path).values().get("stableReplicas")
    file.write(file.edited({**dict.fromkeys(trial), "stableReplicas": original}))
    assert file.text().replace('"', "") == before.replace('"', "")


@pytest.mark.parametrize("form", ["stableReplicas", "addressbook:stableReplicas", "addressbook:config:stableReplicas"])
def test_every_form_of_a_key_is_edited_in_place(file: StackFile, form: str):
    file.path.write_text(f"config:\n  gcp:stableReplicas: 9\n  {form}: 8 # eight\n")
    assert file.values() == {"stableReplicas": "8"}
    assert changed(file, {"stableReplicas": "3"}) == [f"-  {form}: 8 # eight", f'+  {form}: "3" # eight']
    assert file.edited({"stableReplicas": None}) == "config:\n  gcp:stableReplicas: 9\n"


def test_two_forms_of_a_key_are_refused(file: StackFile):
    file.path.write_text("config:\n  stableReplicas: 8\n  addressbook:stableReplicas: 3\n")
    for read in (file.values, lambda: file.edited({"stableReplicas": "2"})):
        with pytest.raises(CommandError, match="both `stableReplicas` and `addressbook:stableReplicas`") as refused:
            read()
        assert refused.value.code == WRONG_USE


def test_an_equal_value_is_left_as_it_is_written(file: StackFile):
    file.path.write_text("config:\n  stableReplicas: 0o3\n  environment:\n    B: 1\n    A: x\n")
    assert changed(file, {"stableReplicas": "3", "environment": '{"A": "x", "B": 1}'}) == []


def test_a_file_in_another_encoding_is_refused(file: StackFile):
    file.path.write_bytes("config: {owner: Zoë}\n".encode("latin-1"))
    with pytest.raises(CommandError, match="is not UTF-8") as refused:
        file.values()
    assert refused.value.code == WRONG_USE


@pytest.mark.parametrize(
    ("project", "name", "message"),
    [
        ("name: addressbook\n", "Pulumi.shop.yml", "the engine does not read Pulumi.shop.yml"),
        ("name: addressbook\nstackConfigDir: stacks\n", "Pulumi.shop.yaml", "stackConfigDir is not supported"),
    ],
)
def test_a_file_that_the_engine_does_not_read(tmp_path: Path, project: str, name: str, message: str):
    (tmp_path / "Pulumi.yaml").write_text(project)
    (tmp_path / name).write_text("config: {}\n")
    with pytest.raises(CommandError, match=message) as refused:
        StackFile.of("shop", tmp_path)
    assert refused.value.code == WRONG_USE


def test_a_full_name_has_the_file_of_its_last_part(tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: addressbook\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {}\n")
    assert StackFile.of("acme/addressbook/prod", tmp_path).path.name == "Pulumi.prod.yaml"


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
    (tmp_path / "Pulumi.yaml").write_text("name: addressbook\n")
    with pytest.raises(CommandError, match=r"there is no Pulumi\.shop\.yaml") as refused:
        StackFile.of("shop", tmp_path)
    assert refused.value.code == WRONG_USE
