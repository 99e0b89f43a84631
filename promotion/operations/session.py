"""Session of one command on one stack: the console, the stack file, the state, the history, and the engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from pulumi import automation
from pydantic import ValidationError

from contract.settings import Keys, ReleaseSettings
from promotion.errors import BUSY, DONE, FAILED, WRONG_USE, CommandError
from promotion.operations.events import send_event
from promotion.operations.options import ChangeOptions
from promotion.state import checkout, engine, git, history, secrets
from promotion.state.history import Update
from promotion.state.locks import checkout_lock
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import StackState
from promotion.state.verdict_record import trial_fingerprint
from promotion.status.table import outputs_text
from stacks.parsing import decoded, describe_error

if TYPE_CHECKING:
    from promotion.state.cluster.cluster import Cluster
    from promotion.verdict import Verdict

Group = TypeVar("Group", bound=Keys)


@dataclass
class Console:
    """``out`` is for people. With ``json``, standard output has one JSON document and ``out`` is standard error.

    ``yes``: do not ask.
    """

    json: bool = False
    yes: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)

    @classmethod
    def of(cls, output: str, yes: bool) -> Console:
        """Return the console for ``--output`` and ``--yes``."""
        return cls(output == "json", yes, sys.stderr if output == "json" else sys.stdout)

    def say(self, text: str = "") -> None:
        """Print for people."""
        print(text, file=self.out, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether ``confirm`` asks: at a terminal, without ``--yes``."""
        return not self.yes and sys.stdin.isatty()

    def confirm(self) -> None:
        """Ask whether to continue, once and only at a terminal. Raises CommandError if the answer is no."""
        if not self.can_ask:
            return
        print("continue? [y/N] ", end="", file=self.out, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("aborted; nothing was changed", WRONG_USE)
        self.yes = True

    def answer(self, text: str, document: dict[str, Any]) -> None:
        """Print the result: ``document`` for scripts, ``text`` for people."""
        if self.json:
            print(json.dumps(document, indent=2))
        else:
            self.say(text)


@dataclass
class EngineRun:
    """Run the engine on the stack ``name``.

    ``excluded`` are the URNs of resources that updates leave alone; with ``leaves_platform``, the program asks for no
    version of the platform but the running ones. ``former_stable`` is the digest of stable's image if an update
    returns to one that stable ran before. ``outputs`` (without secrets) and ``failed`` (URNs of resources) are those of
    the last update. ``ran``: there was an update, or a destroy.
    """

    name: str
    console: Console
    wait_seconds: float = 0
    excluded: Sequence[str] = ()
    leaves_platform: bool = False
    former_stable: str = ""
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    failed: list[str] = field(default_factory=list[str])
    ran: bool = False
    _stack: automation.Stack | None = None

    @property
    def stack(self) -> automation.Stack:
        """The stack. Raises MissingStackError if the backend does not have it."""
        self._stack = self._stack or engine.select_stack(self.name)
        return self._stack

    def create_stack(self) -> None:
        """Create the stack if the backend does not have it."""
        self._stack = engine.select_stack(self.name, create=True)

    def up(
        self, message: str, *, refresh: bool = True, config_file: Path | None = None, plan: Path | None = None
    ) -> None:
        """Update the stack to its file, and only as a saved ``plan`` allows. Raises CommandError."""
        progress = Progress(self.console.out, sys.stderr)
        self.failed, self.outputs, self.ran = progress.failed, {}, True
        self.outputs = engine.up(
            self.stack,
            message,
            refresh=refresh,
            config_file=config_file,
            excluded=self.excluded,
            leaves_platform=self.leaves_platform,
            former_stable=self.former_stable,
            plan=plan,
            progress=progress,
            wait_seconds=self.wait_seconds,
            say=self.console.say,
        )

    def down(self, check: Callable[[], None] = lambda: None) -> None:
        """Destroy the stack's resources and forget the stack, unless ``check`` raises CommandError. Raises it too."""
        progress, stack = Progress(self.console.out, sys.stderr), self.stack
        self.ran = True
        engine.down(stack, check=check, progress=progress, wait_seconds=self.wait_seconds, say=self.console.say)


@dataclass
class Session:
    """Access of one command to its stack: the file, the state, the history, the engine and the cluster.

    ``changed``: the command has changed what runs or what the stack file says. ``commit_failed``: everything is
    done except the commit that ``--commit`` asks for. ``opened`` is in UTC. ``verdict`` is the one of this command, and
    ``cause`` says why it rolled back; both are for the event, whose ``receivers`` are secret.
    """

    command: str
    options: ChangeOptions
    file: StackFile
    console: Console
    engine: EngineRun
    _updates: Sequence[Update] | None = None
    _secrets: Mapping[int, Mapping[str, str]] | CommandError | None = field(default=None, repr=False)
    _cluster: Cluster | None = None
    changed: bool = False
    commit_failed: bool = False
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    verdict: Verdict | None = None
    cause: str = ""
    receivers: Mapping[str, Mapping[str, str]] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, command: str, options: ChangeOptions) -> Session:
        """Return the session of a command. Raises CommandError if there is no stack file."""
        console = Console.of(options.output, options.yes)
        run = EngineRun(options.stack, console, options.wait)
        return cls(command, options, StackFile.of(options.stack), console, run)

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.engine.name

    @property
    def release(self) -> ReleaseSettings:
        """The release in the stack file. Raises CommandError if it is invalid."""
        return release_settings(self.file, self.file.text())

    @property
    def config(self) -> dict[str, Any]:
        """The project's keys in the stack file, decoded; a secret is ``{"secure": …}``. Raises CommandError."""
        prefix = self.file.prefix
        return {key.removeprefix(prefix): value for key, value in self.file.config().items() if key.startswith(prefix)}

    @property
    def trial(self) -> str:
        """Fingerprint of the settings on trial in the stack file; "" if there are none. Raises CommandError."""
        return trial_fingerprint(self.config)

    def state(self) -> StackState:
        """Return the deployed tracks, from the engine's state."""
        return StackState.of(engine.exported(self.engine.stack))

    def cluster(self) -> Cluster:
        """Return the stack's cluster. Raises CommandError if it does not answer."""
        from promotion.state.cluster.cluster import Cluster  # the Kubernetes client takes half a second to import

        self._cluster = self._cluster or Cluster.of(self.engine.stack)
        return self._cluster

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends without an error."""
        return FAILED if self.commit_failed else DONE

    def updates(self) -> Sequence[Update]:
        """Return the stack's updates, newest first; they are read once."""
        if self._updates is None:
            self._updates = history.updates(self.engine.stack)
        return self._updates

    def secrets(self) -> Mapping[int, Mapping[str, str]]:
        """Return the secret values of each update by its number and their keys; they are read once, into memory only.

        Raises CommandError if they cannot be read. It is not tried again, since each attempt may take long.
        """
        if self._secrets is None:
            try:
                self._secrets = secrets.secrets_of_updates(self.engine.stack, self.file.prefix)
            except CommandError as error:
                self._secrets = error
        if isinstance(self._secrets, CommandError):
            raise self._secrets
        return self._secrets

    def tolerate_unreadable_history(self) -> bool:
        """Use an empty history if it cannot be read, and print why; return whether it can be read.

        For commands that return users to a working version, which must not depend on the history.
        """
        try:
            self.updates()
        except CommandError as error:
            self.console.say(f"{error}; continuing without the history")
            self._updates = ()
            return False
        return True

    def forget_updates(self) -> None:
        """Discard the updates, so that they are read again."""
        self._updates = None

    def verdicts(self) -> list[str]:
        """Return the values of `canaryVerdict` in the stack file and in the stack's updates.

        With ``--only-config`` they come from Git, since a pull request has no access to the stack. Raises CommandError
        if Git's history is incomplete, unless ``--force`` is given.
        """
        current = self.release.canary_verdict
        if not self.options.only_config:
            return [current, *(update.config.get("canaryVerdict", "") for update in self.updates())]
        if git.is_shallow(self.file) and not self.options.force:
            raise CommandError(
                "--only-config: this clone is shallow, so it may lack the record of a rejection: fetch its history"
                " (`fetch-depth: 0` in actions/checkout, or `git fetch --unshallow`), or add --force",
                WRONG_USE,
            )
        commits = git.commits(self.file, None, "canaryVerdict")
        changes = [change for commit in commits for change in commit.changes]
        return [current, *(change.after for change in changes if change.key == "canaryVerdict")]

    def history_message(self, message: str) -> str:
        """Return the message for the stack's history: the command, what it does, and the user's reason."""
        options = self.options
        flags = [*(["--force"] if options.force else []), *(["--with-platform"] if options.with_platform else [])]
        command = " ".join([self.command, *flags])
        return ": ".join(part for part in (command, message, self.options.message) if part)

    def answer(self, **fields: Any) -> None:
        """Print the stack's outputs and the given fields, for people or for scripts."""
        outputs = self.engine.outputs or engine.outputs(self.engine.stack)
        document = {"stack": self.name, "command": self.command, **fields, "outputs": outputs}
        self.console.answer(f"\n{outputs_text(self.name, outputs)}", document)


@contextmanager
def open_session(command: str, options: ChangeOptions) -> Generator[Session]:
    """Open a session while no other command of this checkout changes the stack. Raises CommandError.

    With ``--commit``, check first that a commit can succeed, since the commit itself comes last. Once the lock is
    released, send the event of the move or the failure.
    """
    session = Session.of(command, options)
    try:
        with checkout_lock(options.stack, f"promotion {command}", options.wait, session.console.say):
            if options.commit:
                checkout.require_committable(session.file)
            try:
                yield session
            except CommandError as error:
                if session.changed and error.code in (WRONG_USE, BUSY):  # both codes promise that nothing was changed
                    error.code = FAILED
                raise
    except BaseException as error:
        send_event(session, error)
        raise
    send_event(session)


def release_settings(file: StackFile, text: str) -> ReleaseSettings:
    """Return the release in a stack file's text. Raises CommandError; the engine checks the other keys."""
    return keys_of(file, ReleaseSettings, text)


def keys_of(file: StackFile, group: type[Group], text: str | None = None) -> Group:
    """Return a group of keys in a stack file, or in its ``text``. Raises CommandError if one is invalid."""
    values = {key: value for key, value in file.values(text).items() if key in group.key_names()}
    try:
        return group.model_validate({key: decoded(value) for key, value in values.items()})
    except ValidationError as error:
        errors = [describe_error(each, group) for each in error.errors()]
        raise CommandError("\n  - ".join([f"{file.path.name}: invalid config", *errors]), WRONG_USE) from None
