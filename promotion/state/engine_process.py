"""Run ``pulumi`` so that an interruption does not end an update halfway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pulumi import automation
from pulumi.automation.errors import create_command_error

from promotion.errors import UpdateInterruptedError

#: Part of the engine's error about a truncated file.
TRUNCATED = "EOF"
#: File descriptor of standard error.
STDERR = 2
#: Seconds in which a running engine finishes writing a file.
WRITE_SECONDS = 0.5


class EngineProcess(automation.PulumiCommand):
    """Run the engine in its own process group, with its output in files.

    With the Automation API's own command, Ctrl-C reaches the engine through the terminal, and this process ends first.
    If this process is killed, broken pipes kill the engine in the middle of an update. This class passes Ctrl-C on and
    waits for the engine to end. If this process is killed, the engine still finishes its update.
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

        Raises automation.CommandError if it fails, UpdateInterruptedError if it was killed, and KeyboardInterrupt after
        Ctrl-C, once it has ended.
        """
        flags = [] if "--non-interactive" in args else ["--non-interactive"]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with _Interruptions() as interruptions:
                process = subprocess.Popen(
                    [self.command, *flags, *args],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=cwd,
                    env=environment,
                    process_group=0,
                )
                interruptions.pass_to(process)
                process.wait()
            texts: list[str] = []
            for file, callback in ((out, on_output), (err, on_error)):
                file.seek(0)
                lines = [line.rstrip() for line in file.read().decode(errors="replace").splitlines()]
                if callback:
                    for line in lines:
                        callback(line)
                texts.append("\n".join(lines))
        if interruptions.received:
            raise KeyboardInterrupt
        if process.returncode < 0:
            killed_by = signal.Signals(-process.returncode).name
            raise UpdateInterruptedError(
                f"the engine was killed ({killed_by}). Run the command again to continue, or `rollback` to undo"
            )
        result = automation.CommandResult(stdout=texts[0], stderr=texts[1], code=process.returncode)
        if process.returncode:
            raise create_command_error(result)
        return result


class _Interruptions:
    """Pass Ctrl-C and SIGTERM on to the engine as SIGINT, which ends it after its current step.

    A second SIGINT would stop the engine at once, in the middle of a step. Only another Ctrl-C asks for that: when a CI
    job is cancelled, SIGTERM follows SIGINT. These are signal handlers, because a KeyboardInterrupt during another
    exception's handling would end this process before the engine.
    """

    def __init__(self) -> None:
        self.received = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._replaced: list[signal.Signals] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._replaced = [
                number
                for number in (signal.SIGINT, signal.SIGTERM)
                if signal.getsignal(number) is signal.default_int_handler
            ]
        for number in self._replaced:
            signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._replaced:
            signal.signal(number, signal.default_int_handler)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass the signals on to this process, also those that have already arrived."""
        self._process = process
        if self.received:
            self._send(process)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM and self.received:
            return
        self.received += 1
        if self._process:
            self._send(self._process)

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)
        text = "interrupted: the engine finishes its current step first; press Ctrl-C again to stop it at once\n"
        os.write(STDERR, text.encode())  # `print` must not be called again while it runs


def delete_truncated_attributes(backend: str, project: Path) -> list[Path]:
    """Delete truncated .attrs files of a state in a folder; return their paths.

    The engine replaces a state file in one step, but writes the file's attributes (``NAME.attrs``) in place. An engine
    killed meanwhile leaves a truncated file that no engine can read; the state does not need it. ``backend`` is the
    URL of the state (only ``file:`` has such files), and relative paths in it start from the folder ``project``.
    """
    url = urlsplit(backend)
    if url.scheme != "file":
        return []
    folder = project / Path(unquote(url.netloc + url.path)).expanduser() / ".pulumi"
    suspects = [file for file in folder.rglob("*.attrs") if _is_truncated(file)]
    if suspects:
        time.sleep(WRITE_SECONDS)
    truncated = [file for file in suspects if _is_truncated(file)]
    for file in truncated:
        file.unlink(missing_ok=True)
    return truncated


def _is_truncated(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return True
    except OSError:
        pass  # deleted since the listing, or owned by another user
    return False
