"""A stack of this project, through the Pulumi Automation API."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pulumi import automation

from contract.errors import INVALID_CONFIG
from contract.project import PROJECT_ROOT
from promotion.errors import BUSY, FAILED, WRONG_USE, CommandError
from promotion.state import truncated_files as folder
from promotion.state.engine_locks import Lock, locks_named
from promotion.state.engine_process import Engine
from promotion.state.policies import policies
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import settled

#: Seconds between two tries on a stack that somebody has locked.
RETRY_SECONDS = 2
#: An error of the engine's, on a line of its own or behind the name that the Automation API gives the stream.
ERROR_LINE = re.compile(r"^\s*(?:std(?:out|err): )?error: (.*)", re.MULTILINE)
Say = Callable[[str], None]
Result = TypeVar("Result")


class MissingStackError(CommandError):
    """The backend has no stack of that name."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def selected(name: str, create: bool = False) -> automation.Stack:
    """The stack with that name; ``create`` makes it, under the secrets provider that its file names, where the backend
    does not have it yet.

    Raises CommandError when there is no engine, no stack file, or (as MissingStackError) no such stack.
    """
    if shutil.which("pulumi") is None:
        raise CommandError(
            'the pulumi command is not on PATH: install it, or `make up` and `eval "$(make env)"` for the lab\'s own',
            WRONG_USE,
        )
    file = StackFile.of(name)
    # Made under another provider than its file names, a stack could not read the file's secrets, and the engine would
    # strike the file's provider and key out.
    provider = file.secrets_provider if create else None
    try:
        workspace = automation.LocalWorkspace(
            work_dir=str(PROJECT_ROOT), pulumi_command=Engine(), secrets_provider=provider
        )
        return _chosen(name, workspace, automation.Stack.create_or_select if create else automation.Stack.select)
    except automation.StackNotFoundError:
        raise MissingStackError(
            f"stack `{name}` does not exist yet: `python -m promotion up --stack {name}` makes it"
        ) from None
    except automation.CommandError as error:
        raise CommandError(last_lines(error)) from None


def _chosen(
    name: str,
    workspace: automation.Workspace,
    choose: Callable[[str, automation.Workspace], automation.Stack],
) -> automation.Stack:
    try:
        return choose(name, workspace)
    except automation.CommandError as error:
        if not _state_mended(workspace, error, _say):
            raise
        return choose(name, workspace)


def up(
    stack: automation.Stack,
    message: str = "",
    *,
    refresh: bool = True,
    config_file: Path | None = None,
    progress: Progress | None = None,
    wait_seconds: float = 0,
    say: Say = _say,
) -> dict[str, Any]:
    """Bring the stack to what its config says; what an interrupted update left behind is cleared up first.

    The state is refreshed first, so that changes made behind its back are found and undone. ``message`` goes into the
    stack's history; ``config_file`` is used in place of the stack file. Returns the stack outputs that are no secrets.
    Raises CommandError; the engine's own output has then said why.
    """
    progress = progress or Progress()
    file = str(config_file) if config_file else None

    def run() -> automation.UpResult:
        was_settled = settle(stack)
        return stack.up(
            on_event=progress.event,
            message=message or None,
            refresh=refresh or was_settled,
            config_file=file,
            **policies(stack.name),
        )

    return _plain(_run(stack, "up", run, wait_seconds, say).outputs)


def settle(stack: automation.Stack) -> bool:
    """Clear up what an update that was cut off left undecided in the state; whether there was something.

    Raises CommandError where only a person can, and ConcurrentUpdateError where the update is still at work.
    """
    state = stack.export_stack()
    found = settled(dict(state.deployment or {}))
    if found is None:
        return False
    if stack.export_stack().deployment != state.deployment:
        return False  # nothing was cut off: somebody's engine is at work, and will be met at its lock
    stack.import_stack(automation.Deployment(version=state.version, deployment=found))
    return True


def down(stack: automation.Stack, wait_seconds: float = 0) -> None:
    """Destroy all that the stack made and forget the stack; its file stays. Raises CommandError."""

    def run() -> None:
        settle(stack)
        stack.destroy(on_event=Progress().event, refresh=True)

    _run(stack, "destroy", run, wait_seconds, _say)
    stack.workspace.remove_stack(stack.name, preserve_config=True)


def outputs(stack: automation.Stack) -> dict[str, Any]:
    """Outputs of the last update; secrets stay out. Raises CommandError where the state can't be read."""
    return _plain(all_outputs(stack))


def all_outputs(stack: automation.Stack) -> automation.OutputMap:
    """Outputs of the last update, secrets too. Raises CommandError where the state can't be read."""
    try:
        return stack.outputs()
    except automation.CommandError as error:
        raise CommandError(f"stack `{stack.name}`: its outputs can't be read: {last_lines(error)}") from None


def _plain(found: automation.OutputMap) -> dict[str, Any]:
    return {name: output.value for name, output in found.items() if not output.secret}


def _run(stack: automation.Stack, verb: str, action: Callable[[], Result], wait_seconds: float, say: Say) -> Result:
    """Run the engine; a lock that the dead have left is removed, one of the living waited for as long as allowed."""
    deadline = time.monotonic() + wait_seconds
    told: set[str] = set()
    while True:
        try:
            return action()
        except automation.ConcurrentUpdateError as error:
            _unlocked(stack, locks_named(str(error)), deadline, told, say)
        except automation.CommandError as error:
            if _state_mended(stack.workspace, error, say):
                continue
            invalid_config = INVALID_CONFIG in str(error)
            raise CommandError(
                f"stack `{stack.name}`: {'its config is wrong' if invalid_config else f'{verb} failed'}, as said above",
                WRONG_USE if invalid_config else FAILED,
            ) from None


def _state_mended(workspace: automation.Workspace, error: automation.CommandError, say: Say) -> bool:
    """Whether the engine could not read a file that another one was killed over, and now can."""
    if folder.CUT_OFF not in str(error):
        return False
    try:
        found = folder.mended(workspace.who_am_i().url or "", PROJECT_ROOT)
    except (automation.CommandError, OSError):
        return False
    for file in found:
        say(f"the engine was killed while it wrote {file}, which the state does not need: it is removed")
    return bool(found)


def _unlocked(stack: automation.Stack, locks: list[Lock], deadline: float, told: set[str], say: Say) -> None:
    """Return when another try is worth it; raises CommandError with code BUSY when somebody is at work."""
    dead = [lock for lock in locks if lock.dead]
    for lock in dead:
        say(f"the lock of {lock.holder} was left behind, that process is no more: it is removed")
        if not lock.remove():
            stack.cancel()
    if dead:
        return
    holder = ", ".join(lock.holder for lock in locks) or "somebody else"
    abandoned = bool(locks) and all(lock.abandoned for lock in locks)
    if not abandoned and time.monotonic() >= deadline:
        raise CommandError(
            f"{holder} is at work on stack `{stack.name}`: wait for it to end (`--wait` does)"
            + ("" if locks else "; if it was killed, `pulumi cancel` frees the stack"),
            BUSY,
        )
    if holder not in told:
        told.add(holder)
        why = ", whose command was killed, to end what it has begun" if abandoned else ""
        say(f"waiting for {holder}{why}")
    time.sleep(RETRY_SECONDS)


def last_lines(error: automation.CommandError) -> str:
    """The engine's own error lines, without the Automation API's frame around them; without any, all that was said."""
    lines = ERROR_LINE.findall(str(error))
    return "; ".join(line.strip() for line in lines) or " ".join(str(error).split())
