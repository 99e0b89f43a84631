"""A command at work on a stack: its file, its state, and the one way in which either is changed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from pulumi import automation
from pydantic import ValidationError

from components.migration_name import migration_name
from components.shares import traffic_shares
from contract.project import PROJECT_ROOT
from contract.settings import ReleaseSettings
from promotion.errors import BUSY, WRONG_USE, CommandError
from promotion.preview.planned import plan
from promotion.state import engine as stacks
from promotion.state import history
from promotion.state.checkout_lock import at_work
from promotion.state.git import commits
from promotion.state.history import Update
from promotion.state.progress import Progress
from promotion.state.stack_file import Edits, StackFile, difference
from promotion.state.stack_state import StackState, read_stack_state
from promotion.status.table import outputs_text

Track = Literal["stable", "canary"]

#: Folder of the locks of commands at work in this checkout.
LOCKS = PROJECT_ROOT / ".promotion"
#: Commits of a stack file that are searched for a verdict.
GIT_COMMITS = 200


@dataclass
class Work:
    """What a command has in hand.

    ``out`` is where people read: standard error where the answer is JSON. ``outputs`` are the stack's, of the last
    update that this command ran, secrets left out.
    """

    name: str
    command: str
    file: StackFile
    options: argparse.Namespace
    out: TextIO = field(default_factory=lambda: sys.stdout)
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    _stack: automation.Stack | None = None
    _updates: Sequence[Update] | None = None
    _agreed: bool = False
    _failed: list[str] = field(default_factory=list[str])

    @property
    def stack(self) -> automation.Stack:
        """The stack; raises CommandError where there is none."""
        self._stack = self._stack or stacks.selected(self.name)
        return self._stack

    def create(self) -> automation.Stack:
        """The stack, made where the backend does not have it yet."""
        self._stack = stacks.selected(self.name, create=True)
        return self._stack

    @property
    def release(self) -> ReleaseSettings:
        """What the stack file says of the release. Raises CommandError when that is wrong."""
        return release_settings(self.file, self.file.text())

    def standing(self) -> StackState:
        """What the state says of the tracks."""
        return read_stack_state(dict(self.stack.export_stack().deployment or {}))

    def updates(self) -> Sequence[Update]:
        """The stack's updates, newest first; read once."""
        if self._updates is None:
            self._updates = history.updates(self.stack)
        return self._updates

    def verdicts(self) -> list[str]:
        """Values that `canaryVerdict` has had, newest first: in the stack file, then in the stack's updates.

        Where only the file is edited, as in a pull request without access to the stack, Git tells of the earlier ones.
        """
        now = self.release.canary_verdict
        if not getattr(self.options, "only_config", False):
            return [now, *(update.config.get("canaryVerdict", "") for update in self.updates())]
        changes = [change for commit in commits(self.file, GIT_COMMITS) for change in commit.changes]
        return [now, *(change.after for change in changes if change.key == "canaryVerdict")]

    def say(self, text: str = "") -> None:
        print(text, file=self.out, flush=True)

    def told(self, message: str) -> str:
        """The message for the stack's history: what is done, with what the user says of it."""
        forced = " --force" if getattr(self.options, "force", False) else ""
        said = getattr(self.options, "message", None)
        return ": ".join([f"{self.command}{forced}", *([message] if message else []), *([said] if said else [])])

    def propose(self, edits: Edits) -> str:
        """Show what the edits change and mean, and ask whether to go on; returns the new text of the file.

        Raises CommandError when the config would be wrong, or the user says no.
        """
        before = self.file.text()
        after = self.file.edited(edits)
        release = release_settings(self.file, after)
        changed = difference(before, after)
        self.say("\n".join([f"{self.file.path.name}:", *changed]) if changed else f"{self.file.path.name}: as it is")
        self.say(f"share of new connections: {shares_text(release)}")
        self.agree()
        return after

    def agree(self) -> None:
        """Ask once whether to go on, where there is somebody to ask; what follows of it is not asked again.

        Raises CommandError when the user says no.
        """
        if self._agreed or getattr(self.options, "yes", True) or not sys.stdin.isatty():
            return
        print("go on? [y/N] ", end="", file=self.out, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("not wanted: nothing was changed", WRONG_USE)
        self._agreed = True

    def write(self, text: str, message: str) -> bool:
        """Write the stack file, and commit it where that was asked for without an update; whether to go on with one."""
        if text != self.file.text():
            self.file.write(text)
        if not getattr(self.options, "only_config", False):
            return True
        self.commit(message)
        self.say(f"{self.file.path.name} is edited; `pulumi up` or a merge does the rest")
        return False

    def apply(self, text: str, message: str, *, preview: bool = False) -> bool:
        """Write the stack file and bring the stack to it; False where only the file was to be edited.

        With ``preview`` the engine previews it first: policies judge the whole before anything is changed, where an
        update alone judges each resource as it comes to it. A file that the program or a policy refuses, or that nobody
        got to, is taken back. Raises CommandError.
        """
        before = self.file.text()
        message = self.told(message)
        if not self.write(text, message):
            return False
        try:
            if preview:
                self._preview()
            self.up(message)
        except CommandError as fault:
            if fault.code in (WRONG_USE, BUSY) and self.file.text() == text:
                self.file.write(before)
            raise
        self.commit(message)
        self._updates = None
        return True

    def _preview(self) -> None:
        """Raises CommandError when the update could not even begin, or a policy forbids it."""
        faults = plan(self.stack).faults
        for fault in faults:
            print(f"error: {fault}", file=sys.stderr, flush=True)
        if faults:
            raise CommandError(f"stack `{self.name}`: refused, as said above; nothing was changed", WRONG_USE)

    def up(self, message: str, *, refresh: bool = True, config_file: Path | None = None) -> None:
        """Bring the stack to what its file says."""
        progress = Progress(self.out, sys.stderr)
        self._failed = progress.failed
        self.outputs = stacks.up(
            self.stack,
            message,
            refresh=refresh,
            config_file=config_file,
            progress=progress,
            wait_seconds=wait_seconds(self.options),
            say=self.say,
        )

    def failed(self, track: Track) -> bool:
        """Whether the last update failed on what belongs to a track, its image's migration included."""
        release = self.release
        image = release.canary_image if track == "canary" else release.stable_image
        own = (f"-{track}", migration_name("", image))
        return any(":release:Release$" in urn and urn.endswith(own) for urn in self._failed)

    def built(self, stable_image: str) -> str:
        """Build the image of the build context and push it, while the tracks run on as they are; its reference."""
        edits: Edits = {"buildAhead": "true", **({"stableImage": stable_image} if stable_image else {})}
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / self.file.path.name
            config.write_text(self.file.edited(edits), encoding="utf-8")
            self.up(f"{self.command}: build", refresh=False, config_file=config)
        image = self.outputs.get("sourceImage")
        if not isinstance(image, str):
            raise CommandError(
                f"stack `{self.name}` built an image and did not say which: its output sourceImage is {image}"
            )
        return image

    def let_go(self, why: str) -> None:
        """Take what was built out of the stack's state again, for it comes to nothing; the registry keeps it.

        Otherwise the next preview would show its removal, as if somebody had changed something.
        """
        self.up(self.told(why), refresh=False)

    def commit(self, message: str) -> None:
        """Commit the stack file alone, where the user asked for that and it has changed."""
        if not getattr(self.options, "commit", False):
            return
        name = self.file.path.name
        if not _git(self.file.path.parent, "status", "--porcelain", "--", name):
            return
        _git(self.file.path.parent, "add", "--", name)
        _git(self.file.path.parent, "commit", "--quiet", "--message", f"{self.name}: {message}", "--only", "--", name)
        self.say(f"committed {name}")

    def answer(self, **more: Any) -> None:
        """Say what runs now, for people or for scripts."""
        outputs = self.outputs or stacks.outputs(self.stack)
        if getattr(self.options, "output", "text") == "json":
            document = {"stack": self.name, "command": self.command, **more, "outputs": outputs}
            print(json.dumps(document, indent=2))
        else:
            self.say(f"\n{outputs_text(self.name, outputs)}")


@contextmanager
def working(options: argparse.Namespace, command: str) -> Generator[Work]:
    """Be the one command that moves this stack from this checkout. Raises CommandError."""
    file = StackFile.of(options.stack)
    out = sys.stderr if getattr(options, "output", "text") == "json" else sys.stdout
    work = Work(options.stack, command, file, options, out)
    if getattr(options, "commit", False):
        _git(file.path.parent, "rev-parse", "--git-dir")
    with at_work(LOCKS, options.stack, f"promotion {command}", wait_seconds(options), work.say):
        yield work


def wait_seconds(options: argparse.Namespace) -> float:
    """How long to wait for somebody else at work."""
    return float(getattr(options, "wait", 0) or 0)


def release_settings(file: StackFile, text: str) -> ReleaseSettings:
    """The release that a stack file describes. Raises CommandError; the engine checks the other keys."""
    values = {key: value for key, value in file.values(text).items() if key in ReleaseSettings.key_names()}
    try:
        return ReleaseSettings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]} = {fault['input']!r}: {fault['msg']}" for fault in error.errors())
        raise CommandError(f"{file.path.name}: {faults}", WRONG_USE) from None


def shares_text(release: ReleaseSettings) -> str:
    """``stable 66.7 % (2 pods), canary 33.3 % (1 pod)``"""
    return ", ".join(
        f"{track} {share.percent:g} % ({share.replicas} {'pod' if share.replicas == 1 else 'pods'})"
        for track, share in traffic_shares(release).items()
    )


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandError("--commit needs git, which is not on PATH", WRONG_USE) from None
    if done.returncode:
        raise CommandError(f"--commit: git {arguments[0]} failed: {done.stderr.strip()}", WRONG_USE)
    return done.stdout.strip()
