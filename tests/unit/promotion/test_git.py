"""Stack files in a real Git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from promotion.errors import CommandError
from promotion.state.git import commit_file, commits, committed_text, is_in_git
from promotion.state.history import Change
from promotion.state.stack_file import StackFile
from promotion.status.drift import config_drift, git_drift

HEAD = "config:\n  addressbook:cloud: local\n"


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    """A stack file in a fresh repository, not yet committed."""
    for command in (["init", "-q"], ["config", "user.name", "Ada"], ["config", "user.email", "ada@example.com"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(HEAD)
    return StackFile(path)


def commit(file: StackFile, text: str, message: str) -> None:
    file.path.write_text(text)
    subprocess.run(["git", "add", "."], cwd=file.path.parent, check=True)
    subprocess.run(["git", "commit", "-qm", message], cwd=file.path.parent, check=True)


def test_commits_newest_first_with_what_they_changed(file: StackFile):
    commit(file, HEAD + '  addressbook:stableReplicas: "2"\n', "begin")
    commit(file, HEAD + '  addressbook:stableReplicas: "2"\n  addressbook:memoryLimit: 1Gi\n', "not about the release")
    commit(file, HEAD + '  addressbook:stableReplicas: "2"\n  addressbook:canaryReplicas: 1\n', "canary")
    found = commits(file, None)
    assert [(each.message, each.author) for each in found] == [("canary", "Ada"), ("begin", "Ada")]
    assert found[0].changes == [Change("canaryReplicas", "0", "1")]
    assert found[1].changes == [Change("stableReplicas", "3", "2")]
    assert [each.message for each in commits(file, 1)] == ["canary"]


def test_an_invalid_revision_of_the_file_is_passed_over(file: StackFile):
    commit(file, "config: [", "broken")
    commit(file, HEAD + "  addressbook:traffic: stable\n", "fixed")
    assert [each.message for each in commits(file, None)] == ["fixed"]


def test_outside_git_there_is_nothing(tmp_path: Path):
    file = StackFile(tmp_path / "Pulumi.dev.yaml")
    file.path.write_text(HEAD)
    assert (commits(file, None), committed_text(file), is_in_git(file), git_drift(file)) == ([], None, False, [])


def test_an_uncommitted_file_is_drift(file: StackFile):
    (found,) = git_drift(file)
    assert "not in Git" in found.what


def test_an_edit_is_drift_until_it_is_committed(file: StackFile):
    commit(file, HEAD, "begin")
    assert git_drift(file) == []
    edited = HEAD + '  addressbook:canaryReplicas: "1"\n'
    file.path.write_text(edited)
    (found,) = git_drift(file)
    assert "canaryReplicas: 0 -> 1" in found.what
    assert "commit Pulumi.dev.yaml" in found.remedy
    commit(file, edited, "canary")
    assert git_drift(file) == []


def test_a_key_written_out_with_its_default_is_no_drift(file: StackFile):
    commit(file, HEAD, "begin")
    file.path.write_text(HEAD + "  addressbook:traffic: split\n")
    assert git_drift(file) == []


def test_without_an_update_there_is_no_config_drift(file: StackFile):
    assert config_drift(file, None, "dev") == []


def test_only_the_stack_file_is_committed(file: StackFile):
    other = file.path.with_name("other.txt")
    other.touch()
    assert commit_file(file, "dev: canary")
    assert committed_text(file) == HEAD
    assert [each.message for each in commits(file, None)] == []
    assert not commit_file(file, "dev: again"), "nothing has changed"
    untracked = subprocess.run(["git", "status", "--porcelain"], cwd=file.path.parent, capture_output=True, check=True)
    assert untracked.stdout == b"?? other.txt\n"


def test_an_error_of_git_is_raised(file: StackFile):
    (file.path.parent / ".git" / "HEAD").write_text("broken")
    for read in (lambda: commits(file, None), lambda: committed_text(file), lambda: commit_file(file, "x")):
        with pytest.raises(CommandError, match=r"`git .*` failed"):
            read()
