"""The ``pulumi`` command, run so that an interruption never leaves it half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

from promotion.errors import UpdateInterruptedError


class Engine(automation.PulumiCommand):
    """Runs the engine in a process group of its own, with its output in files.

    The Automation API's own way leaves it to the terminal who gets Ctrl-C, and ends before the engine does; and an
    engine whose pipes break, because this process was killed, dies in the middle of an update. Here Ctrl-C is passed on
    once and the end awaited, and an engine left alone finishes what it has begun.
    """

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """Run a command.

        Raises CommandError when it fails, KeyboardInterrupt after an interrupted one has ended,
        UpdateInterruptedError when it was
        killed.
        """
        flags = [] if "--non-interactive" in args else ["--non-interactive"]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [self.command, *flags, *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=environment,
                process_group=0,
            )
            interrupted = _awaited(process)
            texts: list[str] = []
            for file, callback in ((out, on_output), (err, on_error)):
                file.seek(0)
                lines = [line.rstrip() for line in file.read().decode(errors="replace").splitlines()]
                if callback:
                    for line in lines:
                        callback(line)
                texts.append("\n".join(lines))
        if interrupted:
            raise KeyboardInterrupt
        if process.returncode < 0:
            killed_by = signal.Signals(-process.returncode).name
            raise UpdateInterruptedError(
                f"the engine was killed ({killed_by}): the same command again goes on from where things stand,"
                " `rollback` goes back"
            )
        result = automation.CommandResult(stdout=texts[0], stderr=texts[1], code=process.returncode)
        if process.returncode:
            raise create_command_error(result)
        return result


def _awaited(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the engine's end; whether it was interrupted."""
    interrupted = False
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGINT)
            print(
                "interrupted: the engine was told so and ends what it is at; once more gives that up too",
                file=sys.stderr,
                flush=True,
            )
        else:
            return interrupted
