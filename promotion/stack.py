"""A stack of this project, through the Pulumi Automation API."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from pulumi import automation

from promotion.faults import FAILED, WRONG_USE, Fault
from promotion.progress import Progress
from stacks.platform import WRONG_CONFIG
from stacks.settings import PROJECT_ROOT


class NoStack(Fault):
    """The backend has no stack of that name."""


def selected(name: str, create: bool = False) -> automation.Stack:
    """The stack with that name; ``create`` makes it where the backend does not have it yet.

    Raises Fault when there is no engine, no stack file, or (as NoStack) no such stack.
    """
    if shutil.which("pulumi") is None:
        raise Fault(
            'the pulumi command is not on PATH: install it, or `make up` and `eval "$(make env)"` for the lab\'s own',
            WRONG_USE,
        )
    if not (PROJECT_ROOT / f"Pulumi.{name}.yaml").is_file():
        raise Fault(f"there is no Pulumi.{name}.yaml: write one, or name another stack with --stack", WRONG_USE)
    options = automation.LocalWorkspaceOptions(work_dir=str(PROJECT_ROOT))
    try:
        workspace = automation.LocalWorkspace(work_dir=options.work_dir)
        if create:
            return automation.Stack.create_or_select(name, workspace)
        return automation.Stack.select(name, workspace)
    except automation.StackNotFoundError:
        raise NoStack(f"stack `{name}` does not exist yet: `python -m promotion up --stack {name}` makes it") from None
    except automation.CommandError as error:
        raise Fault(_last_lines(error)) from None


def up(stack: automation.Stack, config: Mapping[str, str]) -> None:
    """Set the given config keys, in the stack file too, and bring the stack to what its config says.

    The state is refreshed first, so that changes made behind its back are found and undone. Raises Fault; the engine's
    own output has then said why.
    """
    stack_file = PROJECT_ROOT / f"Pulumi.{stack.name}.yaml"
    before = stack_file.read_text()
    for key, value in config.items():
        stack.set_config(key, automation.ConfigValue(value))
    try:
        _run(stack.name, "up", lambda: stack.up(on_event=Progress().event, refresh=True))
    except Fault as fault:
        if fault.code == WRONG_USE:
            stack_file.write_text(before)  # what was refused is not kept
        raise


def down(stack: automation.Stack) -> None:
    """Destroy all that the stack made and forget the stack; its file stays. Raises Fault."""
    _run(stack.name, "destroy", lambda: stack.destroy(on_event=Progress().event, refresh=True))
    stack.workspace.remove_stack(stack.name, preserve_config=True)


def outputs(stack: automation.Stack) -> dict[str, Any]:
    """Stack outputs of the last update; secrets stay out."""
    return {name: output.value for name, output in stack.outputs().items() if not output.secret}


def _run(name: str, verb: str, action: Any) -> None:
    try:
        action()
    except automation.ConcurrentUpdateError:
        raise Fault(
            f"somebody else is updating stack `{name}`: wait for it to end; if it was killed, `pulumi cancel` frees the"
            " stack"
        ) from None
    except automation.CommandError as error:
        wrong_config = WRONG_CONFIG in str(error)
        raise Fault(
            f"stack `{name}`: {'its config is wrong' if wrong_config else f'{verb} failed'}, as said above",
            WRONG_USE if wrong_config else FAILED,
        ) from None


def _last_lines(error: automation.CommandError) -> str:
    """The engine's own error lines, without the Automation API's frame around them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith("error:")]
    return "; ".join(line.removeprefix("error:").strip() for line in lines) or str(error)
