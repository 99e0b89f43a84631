"""The Git checkout that a command runs in: whether it can commit, and how it relates to a commit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from promotion.errors import WRONG_USE, CommandError
from promotion.state.git import git, is_in_git, is_shallow
from promotion.state.stack_file import StackFile

#: Files in Git's folder that exist during an unfinished operation, in which `git commit -- FILE` refuses to run.
UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
#: How HEAD relates to a commit. ``unknown``: the checkout does not have enough history to tell.
Relation = Literal["same", "older", "newer", "diverged", "unknown"]


def require_committable(file: StackFile) -> None:
    """Raise CommandError if a commit of the stack file cannot succeed. The repository's hooks are not checked."""
    target = file.path.resolve()
    name, folder = target.name, target.parent
    if not is_in_git(file):
        raise _refused(f"{name} is not in a Git checkout")
    paths = git(folder, "rev-parse", *(part for each in (*UNFINISHED, "index.lock") for part in ("--git-path", each)))
    for unfinished, path in zip((*UNFINISHED, "index.lock"), paths.splitlines(), strict=True):
        if not (folder / path).exists():
            continue
        if unfinished == "index.lock":
            raise _refused(f"{path} exists: wait until no Git command is running; if one was killed, delete the file")
        raise _refused(f"{UNFINISHED[unfinished]} is in progress: finish or abort it first")
    try:
        for identity in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            git(folder, "var", identity)
        git(folder, "add", "--dry-run", "--", name)
    except CommandError as error:
        raise _refused(str(error)) from None


def _refused(why: str) -> CommandError:
    return CommandError(f"--commit: {why}", WRONG_USE)


def relation_to(file: StackFile, commit: str) -> Relation:
    """Return how HEAD relates to ``commit``. Raises CommandError if Git fails."""
    folder = file.path.resolve().parent
    names = git(folder, "cat-file", "--batch-check=%(objectname)", stdin=f"HEAD\n{commit}\n").splitlines()
    if any(name.endswith(" missing") for name in names):
        return "unknown"
    if names[0] == names[1]:
        return "same"
    if not git(folder, "rev-list", "--max-count=1", "HEAD", f"^{commit}"):  # HEAD has no commit of its own
        return "older"
    if not git(folder, "rev-list", "--max-count=1", commit, "^HEAD"):
        return "newer"
    return "unknown" if is_shallow(file) else "diverged"


def committed(file: StackFile) -> datetime:
    """Return when HEAD was committed. Raises CommandError if Git fails."""
    seconds = git(file.path.resolve().parent, "log", "--max-count=1", "--format=%ct", "HEAD")
    return datetime.fromtimestamp(int(seconds), UTC)


def commit_times(file: StackFile, commits: Iterable[str]) -> dict[str, datetime]:
    """Return when each commit was committed; those that the checkout does not have are left out.

    Raises CommandError if Git fails.
    """
    names = sorted({commit for commit in commits if commit})
    if not names or not is_in_git(file):
        return {}
    folder = file.path.resolve().parent
    found = git(folder, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin="".join(f"{n}\n" for n in names))
    present = [line.split()[0] for line in found.splitlines() if line.endswith(" commit")]
    if not present:
        return {}
    rows = git(folder, "log", "--no-walk", "--stdin", "--format=%H %ct", stdin="".join(f"{n}\n" for n in present))
    return {commit: datetime.fromtimestamp(int(time), UTC) for commit, time in map(str.split, rows.splitlines())}


def is_clean_at(file: StackFile, commit: str) -> bool:
    """Return whether ``commit`` is checked out and no file of it is edited; False outside Git."""
    if head(file) != commit:
        return False
    folder = file.path.resolve().parent
    return not git(folder, "status", "--porcelain", "--untracked-files=no")


def head(file: StackFile) -> str | None:
    """Return the commit that is checked out; None outside Git and in a new repository."""
    try:
        return git(file.path.resolve().parent, "rev-parse", "--verify", "--quiet", "HEAD").strip() or None
    except CommandError:
        return None


def user(file: StackFile) -> str | None:
    """Return the name that Git gives the user; None if it knows none."""
    try:
        return git(file.path.resolve().parent, "config", "user.name").strip() or None
    except CommandError:
        return None
