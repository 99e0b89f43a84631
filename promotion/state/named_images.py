"""Digests that any stack of this project names: in its file, its state or its history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from pulumi import automation

from contract.project import PROJECT_ROOT
from promotion.errors import CommandError
from promotion.state import engine, history

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def named_digests(workspace: automation.Workspace) -> set[str]:
    """Return every digest that a stack of the project in this backend names, and every stack file of this checkout.

    Other stacks may share the registry: release stacks, and stacks that use the same existing one. Anything that looks
    like a digest counts, wherever it is. Raises CommandError if a stack cannot be read.
    """
    files = (file.read_text(encoding="utf-8") for file in PROJECT_ROOT.glob("Pulumi.*.yaml"))
    return _digests(files).union(*(_of_stack(workspace, name) for name in _stacks(workspace)))


def _stacks(workspace: automation.Workspace) -> list[str]:
    try:
        return [each.name for each in workspace.list_stacks()]
    except automation.CommandError as error:
        raise CommandError(f"cannot list the project's stacks: {engine.error_lines(error)}") from None


def _of_stack(workspace: automation.Workspace, name: str) -> set[str]:
    try:
        stack = automation.Stack.select(name, workspace)
    except automation.CommandError as error:
        raise CommandError(f"stack `{name}`: cannot be read: {engine.error_lines(error)}") from None
    configs = (value for update in history.updates(stack) for value in update.config.values())
    return _digests([json.dumps(engine.exported(stack)), *configs])


def _digests(texts: Iterable[str]) -> set[str]:
    return {digest for text in texts for digest in DIGEST.findall(text)}
