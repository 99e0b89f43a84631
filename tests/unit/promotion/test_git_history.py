"""Who changed the release: parallel branches, merges, shallow clones, odd names, and the user's own settings."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promotion.errors import CommandError
from promotion.state import git
from promotion.state.git import commit_file, commits, committed_text, is_in_git, is_shallow
from promotion.state.stack_file import StackFile
from promotion.status.drift import git_drift

BASE = {"stableReplicas": "3", "canaryReplicas": "0", "traffic": "split", "canaryVerdict": ""}


class Repository:
    """A repository with a stack file; each commit has an author and a time of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = StackFile(folder / "Pulumi.dev.yaml")
        self.minutes = 0
        folder.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "nobody@example.com")
        self.git("config", "user.name", "Nobody")

    def git(self, *arguments: str, author: str = "Nobody") -> None:
        self.minutes += 1
        date = f"2026-01-01T{self.minutes // 60:02}:{self.minutes % 60:02}:00Z"
        names = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(self.folder.parent), **names}
        subprocess.run(["git", *arguments], cwd=self.folder, env=environment, check=True, capture_output=True)

    def write(self, **keys: str) -> None:
        lines = "".join(f"  addressbook:{key}: {value!r}\n\n\n" for key, value in {**BASE, **keys}.items())
        self.file.path.write_text(f"config:\n{lines}")

    def commit(self, author: str, message: str = "move", **keys: str) -> None:
        self.write(**keys)
        self.git("add", ".")
        self.git("commit", "-qm", message, author=author)

    def moves(self) -> list[tuple[str, str, str]]:
        """Return author, key and new value of each change, newest first."""
        return [(each.author, row.key, row.after) for each in commits(self.file, None) for row in each.changes]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit("Ada", "begin")
    return made


def parallel(repository: Repository) -> None:
    """Grace sets the traffic on a branch while Ada adds a canary on main."""
    repository.git("switch", "-qc", "branch")
    repository.commit("Grace", traffic="stable")
    repository.git("switch", "-q", "main")
    repository.commit("Ada", canaryReplicas="1")


def test_a_merge_of_parallel_branches_names_who_moved(repository: Repository):
    parallel(repository)
    repository.git("merge", "-q", "--no-edit", "branch", author="Merger")
    assert repository.moves() == [("Ada", "canaryReplicas", "1"), ("Grace", "traffic", "stable")]


def test_interleaved_branches_name_who_moved(repository: Repository):
    parallel(repository)
    repository.git("switch", "-q", "branch")
    repository.commit("Grace", traffic="stable", stableReplicas="5")
    repository.git("switch", "-q", "main")
    repository.commit("Linus", canaryReplicas="2")
    repository.git("merge", "-q", "--no-edit", "branch", author="Merger")
    assert repository.moves() == [
        ("Linus", "canaryReplicas", "2"),
        ("Grace", "stableReplicas", "5"),
        ("Ada", "canaryReplicas", "1"),
        ("Grace", "traffic", "stable"),
    ]


def test_a_squash_merge_names_its_author(repository: Repository):
    parallel(repository)
    repository.git("merge", "-q", "--squash", "branch")
    repository.git("commit", "-qm", "squashed", author="Grace")
    assert repository.moves() == [("Grace", "traffic", "stable"), ("Ada", "canaryReplicas", "1")]


def test_only_a_merges_own_resolution_is_the_mergers(repository: Repository):
    parallel(repository)
    repository.git("merge", "-q", "--no-commit", "branch")
    repository.commit("Merger", canaryReplicas="1", traffic="stable", stableReplicas="9")
    assert repository.moves()[0] == ("Merger", "stableReplicas", "9")
    assert [author for author, _, _ in repository.moves()] == ["Merger", "Ada", "Grace"]


def test_an_undone_rejection_outlives_a_merge(repository: Repository):
    repository.git("switch", "-qc", "branch")
    (repository.folder / "other.txt").touch()
    repository.git("add", ".")
    repository.git("commit", "-qm", "not about the release")
    repository.git("switch", "-q", "main")
    repository.commit("Ada", canaryVerdict="rejected sha256:a")
    repository.commit("Ada")
    repository.git("switch", "-q", "branch")
    repository.git("merge", "-q", "--no-edit", "main")
    assert ("Ada", "canaryVerdict", "rejected sha256:a") in repository.moves()


def test_only_commits_of_a_key_are_read_on_request(repository: Repository):
    repository.commit("Grace", "rejected", canaryVerdict="rejected sha256:a")
    repository.commit("Linus", "not a verdict", canaryVerdict="rejected sha256:a", traffic="stable")
    repository.commit("Ada", "forgotten", traffic="stable")
    found = commits(repository.file, None, "canaryVerdict")
    assert [each.message for each in found] == ["forgotten", "rejected"]


def test_the_oldest_commit_of_a_shallow_clone_is_omitted(repository: Repository, tmp_path: Path):
    repository.commit("Grace", canaryReplicas="1")
    repository.commit("Linus", canaryReplicas="1", traffic="stable")
    subprocess.run(["git", "clone", "-q", "--depth=2", repository.folder.as_uri(), tmp_path / "clone"], check=True)
    file = StackFile(tmp_path / "clone" / "Pulumi.dev.yaml")
    assert is_shallow(file)
    assert [(each.author, len(each.changes)) for each in commits(file, None)] == [("Linus", 1)]
    assert not is_shallow(repository.file)


@pytest.mark.parametrize(
    ("author", "message"),
    [("Zoë ☃", "canary 🐤"), ("A\tB", 'it\'s "quoted"\n\nbody'), ("x", "a\x1b[31mred"), ("y", "%H %x00")],
)
def test_odd_names_and_messages_are_one_printable_line(repository: Repository, author: str, message: str):
    repository.commit(author, message, traffic="stable")
    (newest, *_) = commits(repository.file, 1)
    assert newest.author == author.replace("\t", " ")
    assert newest.message == message.partition("\n")[0].replace("\x1b", " ")


def test_names_in_another_encoding_are_read(repository: Repository):
    repository.git("config", "i18n.commitEncoding", "latin1")
    repository.git("config", "i18n.logOutputEncoding", "latin1")
    repository.write(traffic="stable")
    repository.git("commit", "-qam", b"Zo\xeb".decode("utf-8", "surrogateescape"))
    assert commits(repository.file, 1)[0].message == "Zoë"


#: What signs and verifies like gpg.
GPG = """#!/bin/sh
case "$*" in
*--verify*) echo "gpg: Signature made today" >&2; echo "[GNUPG:] GOODSIG 1 Ada"; echo "[GNUPG:] VALIDSIG 1" ;;
*) cat >/dev/null; echo >&2; echo "[GNUPG:] SIG_CREATED " >&2
   echo "-----BEGIN PGP SIGNATURE-----"; echo; echo x; echo "-----END PGP SIGNATURE-----" ;;
esac
"""
SETTINGS = {
    "log.showSignature": "true",
    "core.quotePath": "true",
    "core.pager": "false",
    "color.ui": "always",
    "log.decorate": "full",
    "log.date": "relative",
    "log.follow": "true",
    "log.diffMerges": "separate",
    "format.pretty": "fuller",
    "status.showUntrackedFiles": "no",
    "status.short": "true",
    "diff.external": "false",
    "core.fsmonitor": "false",
}


def test_signatures_and_settings_change_nothing(repository: Repository, tmp_path: Path):
    program = tmp_path / "gpg"
    program.write_text(GPG)
    program.chmod(0o755)
    repository.git("config", "gpg.program", str(program))
    repository.write(traffic="stable")
    repository.git("commit", "-qam", "signed", "--gpg-sign", author="Ada")
    before = commits(repository.file, None)
    for name, value in SETTINGS.items():
        repository.git("config", name, value)
    shown = subprocess.run(["git", "log", "-1"], cwd=repository.folder, capture_output=True, text=True, check=True)
    assert "gpg: Signature made" in shown.stdout, "the setting has an effect"
    assert commits(repository.file, None) == before
    assert [each.author for each in before] == ["Ada"]
    new = StackFile(repository.folder / "Pulumi.new.yaml")
    new.path.write_text("config: {}\n")
    assert commit_file(new, "dev: new"), "an untracked file is seen"


def test_a_file_name_is_no_wildcard(repository: Repository):
    for name in ("Pulumi.[ab].yaml", "Pulumi.a.yaml"):
        (repository.folder / name).write_text("config: {traffic: stable}\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "both", author="Ada")
    (repository.folder / "Pulumi.a.yaml").write_text("config: {traffic: split}\n")
    repository.git("commit", "-qam", "only a", author="Ada")
    assert [each.message for each in commits(StackFile(repository.folder / "Pulumi.[ab].yaml"), None)] == ["both"]


def in_worktree(repository: Repository, folder: Path) -> Path:
    repository.git("worktree", "add", "-q", str(folder / "tree"), "-b", "tree")
    return folder / "tree" / "Pulumi.dev.yaml"


def in_submodule(repository: Repository, folder: Path) -> Path:
    outer = Repository(folder / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository.folder), "inner")
    return outer.folder / "inner" / "Pulumi.dev.yaml"


def in_subfolder(repository: Repository, folder: Path) -> Path:
    (repository.folder / "deploy").mkdir()
    repository.git("mv", "Pulumi.dev.yaml", "deploy/")
    repository.git("commit", "-qm", "move the file")
    repository.file = StackFile(repository.folder / "deploy" / "Pulumi.dev.yaml")
    repository.commit("Grace", traffic="stable", stableReplicas="4")
    return repository.file.path


def through_a_link(repository: Repository, folder: Path) -> Path:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "Pulumi.prod.yaml").symlink_to(repository.file.path)
    return folder / "elsewhere" / "Pulumi.prod.yaml"


@pytest.mark.parametrize("place", [in_worktree, in_submodule, in_subfolder, through_a_link])
def test_the_file_is_found_wherever_git_has_it(
    repository: Repository, tmp_path: Path, place: Callable[[Repository, Path], Path]
):
    repository.commit("Grace", traffic="stable")
    file = StackFile(place(repository, tmp_path))
    assert is_in_git(file)
    assert commits(file, None)[0].author == "Grace"
    assert committed_text(file) == file.text()
    assert git_drift(file) == []
    file.write(file.edited({"traffic": "split"}))
    assert "traffic: stable -> split" in git_drift(file)[0].what
    for setting in ("user.name=Ada", "user.email=ada@example.com"):
        git.git(file.path.resolve().parent, "config", *setting.split("="))
    assert commit_file(file, "dev: split")
    assert committed_text(file) == file.text()


def test_another_users_repository_is_one_clear_error(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(CommandError, match=r"^Git refuses to read (\S+), .*safe\.directory \1`$"):
        commits(repository.file, None)
