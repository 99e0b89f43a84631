"""Secret config values: decrypted in memory only, and encrypted by the engine.

A value reaches the engine through standard input. It is never part of a command line, a message or a file.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pulumi import automation

from promotion.errors import CommandError
from promotion.state.engine import error_lines
from promotion.state.history import summaries
from promotion.state.stack_file import StackFile

#: The Pulumi CLI's placeholder for a value that the present secrets provider cannot decrypt.
UNREADABLE = "ERROR_UNABLE_TO_DECRYPT"
#: Key under which a value is encrypted, in a copy of the stack file.
SCRATCH_KEY = "encrypted"


def secrets_of_updates(stack: automation.Stack, prefix: str) -> dict[int, dict[str, str]]:
    """Return the secret values of each update by its number and their keys; an object is JSON.

    What the present secrets provider cannot decrypt is left out. Raises CommandError if the history is unreadable.
    """
    return {
        number: {
            key.removeprefix(prefix): str(value.value)
            for key, value in summary.config.items()
            if value.secret and key.startswith(prefix) and UNREADABLE not in str(value.value)
        }
        for number, summary in summaries(stack, secrets=True)
    }


def written_values(stack: automation.Stack, prefix: str) -> dict[str, str]:
    """Return the stack file's values, with its secrets decrypted. Raises CommandError if that fails."""
    try:
        config = cast(Mapping[str, Any], stack.get_all_config())
    except automation.CommandError as error:
        raise CommandError(f"stack `{stack.name}`: cannot decrypt its file: {error_lines(error)}") from None
    return {key.removeprefix(prefix): str(each.value) for key, each in config.items() if key.startswith(prefix)}


def encrypted(stack: automation.Stack, file: StackFile, value: str) -> str:
    """Return the value's ciphertext, for a ``secure`` entry of the stack file. Raises CommandError if that fails."""
    command = stack.workspace.pulumi_command.command
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.path.name
        copy.write_text(yaml.safe_dump(file.settings()), encoding="utf-8")
        arguments = ["--stack", stack.name, "--config-file", str(copy), "--secret", file.prefix + SCRATCH_KEY]
        done = subprocess.run(
            [command, "--non-interactive", "config", "set", *arguments],
            input=f"{value}\n",  # the engine removes one line end
            cwd=stack.workspace.work_dir,
            env={**os.environ, **stack.workspace.env_vars},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            reason = "; ".join(line.removeprefix("error: ") for line in done.stderr.splitlines() if line.strip())
            raise CommandError(f"stack `{stack.name}`: cannot encrypt a secret: {reason}")
        written = cast(dict[str, Any], yaml.safe_load(copy.read_text(encoding="utf-8")))
    config = written.pop("config")
    if written != file.settings():  # the engine chose a new key, which the stack file does not have
        raise CommandError(f"{file.path.name} does not say how its secrets are encrypted")
    return str(config[file.prefix + SCRATCH_KEY]["secure"])
