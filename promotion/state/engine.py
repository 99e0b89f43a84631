"""Run the engine on a stack of this project, through the Pulumi Automation API."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from pulumi import automation

from contract.errors import INVALID_CONFIG
from contract.project import PROJECT_ROOT
from contract.update import FORMER_STABLE, LEAVE_PLATFORM
from promotion.errors import FAILED, WRONG_USE, CommandError
from promotion.state import stack_names, stack_state
from promotion.state.engine_process import TRUNCATED, EngineProcess, delete_truncated_attributes
from promotion.state.locks import EngineLock, busy, engine_locks
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from promotion.state.unfinished_stack import unfinished_file

POLICY_PACK = PROJECT_ROOT / "policy"
#: Policy settings for a stack whose first update may build from source; the program itself refuses it later.
FIRST_RELEASE = POLICY_PACK / "first-release.json"
#: Seconds between two attempts on a locked stack.
RETRY_SECONDS = 2
#: A line with an error of the engine; the Automation API may put the stream's name before it.
ERROR_LINE = re.compile(r"^\s*(?:std(?:out|err): )?error: (.*)", re.MULTILINE)
Say = Callable[[str], None]
Result = TypeVar("Result")


class MissingStackError(CommandError):
    """The backend has no stack of that name."""


class UnfinishedStackError(CommandError):
    """The stack has resources but no finished update, so its config is unknown."""


class _Stack(automation.Stack):
    """A stack whose updates end when the engine ends.

    After each update, the Automation API reads all outputs twice and the history. That starts the engine three more
    times, for values that the commands read themselves where they need them.
    """

    def __init__(self, selected: automation.Stack) -> None:
        vars(self).update(vars(selected))

    def outputs(self) -> automation.OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002 the parent has it
        return automation.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


class PolicyArguments(TypedDict, total=False):
    """Arguments of the Automation API's ``preview`` and ``up``."""

    policy_packs: list[str]
    policy_pack_configs: list[str]


def policies(stack: str) -> PolicyArguments:
    """Return the policy pack and its settings for this stack. Raises CommandError if the stack file is unreadable."""
    arguments: PolicyArguments = {"policy_packs": [str(POLICY_PACK)]}
    if StackFile.of(stack).values().get("buildFromSource") == "first":
        arguments["policy_pack_configs"] = [str(FIRST_RELEASE)]
    return arguments


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def workspace(secrets_provider: str | None = None) -> automation.LocalWorkspace:
    """Return the project's workspace. Raises CommandError if the engine is not installed."""
    if shutil.which("pulumi") is None:
        raise CommandError(
            "`pulumi` is not on PATH: install it (https://www.pulumi.com/docs/install/). In the lab, run `python -m lab"
            ' up --tools-only` and `eval "$(make env)"` instead',
            WRONG_USE,
        )
    return automation.LocalWorkspace(
        work_dir=str(PROJECT_ROOT), pulumi_command=EngineProcess(), secrets_provider=secrets_provider
    )


def select_stack(name: str, create: bool = False) -> automation.Stack:
    """Return the stack; with ``create``, create it first if the backend does not have it.

    ``name`` is NAME, ORGANIZATION/NAME or ORGANIZATION/PROJECT/NAME. Raises CommandError if there is no engine or no
    stack file, or the name is ambiguous, MissingStackError if there is no such stack.
    """
    file = StackFile.of(name)
    # A new stack needs its file's secrets provider: with another one it could not read the file's secrets, and the
    # engine would delete the file's provider and key.
    provider = file.secrets_provider if create else None
    choose = automation.Stack.create_or_select if create else automation.Stack.select
    project = workspace(provider)
    try:
        full_name = stack_names.resolve(name, project, create)
        try:
            return _Stack(choose(full_name, project))
        except automation.CommandError as error:
            if not _repair_state(project, error, _say):
                raise
            return _Stack(choose(full_name, project))
    except automation.StackNotFoundError:
        raise MissingStackError(
            f"stack `{name}` does not exist yet: `python -m promotion up --stack {name}` creates it"
        ) from None
    except automation.CommandError as error:
        raise CommandError(error_lines(error)) from None


def restore_file(name: str, say: Say = _say) -> StackFile:
    """Return the stack's file; if this checkout has none, write the config of the stack's last update into one.

    For a temporary stack whose first update was killed, write what the annotations of its namespace say.

    Raises MissingStackError if the backend has no such stack either, or had an empty one that was never updated,
    UnfinishedStackError if its first update never finished and its end is unknown, and CommandError if the backend is
    unreadable.
    """
    path = PROJECT_ROOT / f"Pulumi.{name.rpartition('/')[2]}.yaml"
    if not path.is_file():
        project = workspace()
        try:
            stack = automation.Stack.select(stack_names.resolve(name, project, create=False), project)
            if not stack.history(page_size=1, page=1):
                path.write_text(_unfinished(stack), encoding="utf-8")
                say(f"{path.name} is restored from the stack's state: its first update never finished")
                return StackFile.of(name)
            stack.refresh_config()
        except automation.StackNotFoundError:
            raise MissingStackError(f"there is no {path.name}, and no stack `{name}` in the backend") from None
        except automation.CommandError as error:
            raise CommandError(error_lines(error)) from None
        say(f"{path.name} is restored from the stack's last update")
    return StackFile.of(name)


def _unfinished(stack: automation.Stack) -> str:
    """Return the text of a file for a stack without a finished update.

    Raises MissingStackError for one without resources, after removing it, and UnfinishedStackError if the state does
    not say enough: the stack may be a platform's.
    """
    deployment = dict(stack.export_stack().deployment or {})
    if not deployment.get("resources"):
        stack.workspace.remove_stack(stack.name)
        raise MissingStackError(f"stack `{stack.name}` was empty")
    text = unfinished_file(deployment, f"{stack.workspace.project_settings().name}:")
    if not text:
        raise UnfinishedStackError(
            f"stack `{stack.name}` has resources but no finished update: its first update is running or was killed;"
            " restore its stack file from where it was created, then run this again"
        )
    return text


def name_beside(other: str, name: str, project: automation.LocalWorkspace) -> str:
    """Return the name for a new stack in the organization of the stack ``other``. Raises CommandError."""
    try:
        return stack_names.beside(other, name, project)
    except automation.CommandError as error:
        raise CommandError(error_lines(error)) from None


def up(
    stack: automation.Stack,
    message: str = "",
    *,
    refresh: bool = True,
    config_file: Path | None = None,
    excluded: Sequence[str] = (),
    leaves_platform: bool = False,
    former_stable: str = "",
    plan: Path | None = None,
    progress: Progress | None = None,
    wait_seconds: float = 0,
    say: Say = _say,
) -> dict[str, Any]:
    """Update the stack to its config; return its outputs without secrets.

    First resolve the pending operations of an interrupted update, and refresh the state, so that manual changes are
    detected and undone. ``message`` goes into the stack's history; ``config_file`` replaces the stack file. The update
    does not change the ``excluded`` resources (URNs) and does not wait for them. ``leaves_platform`` tells the program
    that it need not check the platform's versions, and ``former_stable`` the digest of an image that stable ran before.
    ``plan`` is a plan that a preview saved: the update stops at the first step that differs from it.
    Raises CommandError; the engine has then printed why.
    """
    progress = progress or Progress()
    file = str(config_file) if config_file else None
    environment = {LEAVE_PLATFORM: "true" if leaves_platform else "", FORMER_STABLE: former_stable}
    stack.workspace.env_vars = {name: value for name, value in environment.items() if value}

    def run() -> None:
        resolved = resolve_pending(stack)
        stack.up(
            on_event=progress.event,
            message=message or None,
            refresh=refresh or resolved,
            config_file=file,
            exclude=[*excluded] or None,
            plan=str(plan) if plan else None,
            **policies(stack.name),
        )

    _run(stack, "the update", run, wait_seconds, say)
    return outputs(stack)


def resolve_pending(stack: automation.Stack) -> bool:
    """Resolve the operations that an interrupted update left pending; return whether there were any.

    Raises CommandError if only a person can, and ConcurrentUpdateError if the update is still running.
    """
    state = stack.export_stack()
    resolved = stack_state.resolve_pending(dict(state.deployment or {}))
    if resolved is None:
        return False
    if stack.export_stack().deployment != state.deployment:
        return False  # an engine is still running; its lock will stop this command
    stack.import_stack(automation.Deployment(version=state.version, deployment=resolved))
    return True


def forget_dependencies(stack: automation.Stack, urn: str, *, wait_seconds: float = 0, say: Say = _say) -> None:
    """Remove the dependencies on a resource from the state, until the next update of the dependent resources.

    An update deletes nothing on which an excluded resource depends. Raises CommandError.
    """

    def edit() -> None:
        state = stack.export_stack()
        remaining = stack_state.without_dependencies_on(dict(state.deployment or {}), urn)
        if remaining is not None:
            stack.import_stack(automation.Deployment(version=state.version, deployment=remaining))

    _run(stack, "editing its state", edit, wait_seconds, say)


def down(
    stack: automation.Stack,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
    wait_seconds: float = 0,
    say: Say = _say,
) -> None:
    """Destroy the stack's resources and forget the stack; its file stays. Raises CommandError.

    ``check`` runs before each attempt, since another command may have updated the stack while this one waited. It
    raises CommandError to keep the stack.
    """
    progress = progress or Progress()

    def run() -> None:
        check()
        resolve_pending(stack)
        stack.destroy(on_event=progress.event, refresh=True)

    _run(stack, "destroy", run, wait_seconds, say)
    stack.workspace.remove_stack(stack.name, preserve_config=True)


def outputs(stack: automation.Stack, *, secrets: bool = False) -> dict[str, Any]:
    """Return the last update's outputs, without secrets unless asked for. Raises CommandError."""
    return stack_state.outputs_of(exported(stack), secrets=secrets)


def exported(stack: automation.Stack) -> dict[str, Any]:
    """Return the stack's deployment. Raises CommandError if the state is unreadable."""
    try:
        return dict(stack.export_stack().deployment or {})
    except automation.CommandError as error:
        raise CommandError(f"stack `{stack.name}`: cannot read its state: {error_lines(error)}") from None


def error_lines(error: automation.CommandError) -> str:
    """Return the engine's error lines without what the Automation API adds; the whole text if there are none."""
    lines = ERROR_LINE.findall(str(error))
    return "; ".join(line.strip() for line in lines) or " ".join(str(error).split())


def _run(stack: automation.Stack, what: str, action: Callable[[], Result], wait_seconds: float, say: Say) -> Result:
    """Run the engine. Delete stale locks, and wait for other locks as long as allowed."""
    deadline = time.monotonic() + wait_seconds
    announced: set[str] = set()
    while True:
        try:
            return action()
        except automation.ConcurrentUpdateError as error:
            _pass_locks(stack, engine_locks(str(error)), deadline, announced, say)
        except automation.CommandError as error:
            if _repair_state(stack.workspace, error, say):
                continue
            if INVALID_CONFIG in str(error):
                raise CommandError(
                    f"stack `{stack.name}`: its config is invalid; see the errors above", WRONG_USE
                ) from None
            raise CommandError(f"stack `{stack.name}`: {what} failed; see the errors above", FAILED) from None


def _repair_state(workspace: automation.Workspace, error: automation.CommandError, say: Say) -> bool:
    """Delete files that a killed engine left truncated, if the engine failed on one; return whether there were any."""
    if TRUNCATED not in str(error):
        return False
    try:
        deleted = delete_truncated_attributes(workspace.who_am_i().url or "", PROJECT_ROOT)
    except (automation.CommandError, OSError):
        return False
    for file in deleted:
        say(f"deleted {file}: an engine was killed while it wrote the file, and the state does not need it")
    return bool(deleted)


def _pass_locks(
    stack: automation.Stack, locks: list[EngineLock], deadline: float, announced: set[str], say: Say
) -> None:
    """Delete stale locks, or wait before the next attempt. Raises CommandError (BUSY) if another command is running."""
    stale = [lock for lock in locks if lock.is_stale]
    for lock in stale:
        say(f"deleting the stale lock of {lock.holder}: the process no longer exists")
        if not lock.delete():
            stack.cancel()
    if stale:
        return
    holder = ", ".join(lock.holder for lock in locks) or "another command"
    orphaned = bool(locks) and all(lock.is_orphaned for lock in locks)
    if not orphaned and time.monotonic() >= deadline:
        raise busy(holder, stack.name, "" if locks else "; if it was killed, `pulumi cancel` unlocks the stack")
    if holder not in announced:
        announced.add(holder)
        say(f"waiting for {holder}{', whose command was killed, to finish its update' if orphaned else ''}")
    time.sleep(RETRY_SECONDS)
