"""Child processes of the language host, which end with it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Literal

import grpc

# Seconds that a process has to end after SIGTERM.
TERMINATE = 2.0
_CHUNK = 65536


class Processes:
    """All running children. Each leads a process group, so that its own children end with it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def start(
        self,
        command: Sequence[str],
        folder: str,
        environment: Mapping[str, str],
        context: grpc.ServicerContext,
        *,
        piped: bool,
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends when the call is cancelled. Unless piped, it writes to the host's own output."""
        stream = subprocess.PIPE if piped else None
        process = subprocess.Popen(
            command,
            cwd=folder or None,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            # Ctrl-C must reach the engine only, which then cancels the call.
            process_group=0,
        )
        with self._lock:
            self._running.add(process)
        if not context.add_callback(lambda: self._end(process)):
            self._end(process)
        return process

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Return the exit code of a process once it has ended."""
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        return code

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            running = process in self._running
            self._running.discard(process)
        if running and process.poll() is None:
            _signal(process, signal.SIGTERM)
            try:
                process.wait(TERMINATE)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)

    def end_all(self) -> None:
        """End all running processes."""
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            self._end(process)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def output(process: subprocess.Popen[bytes]) -> Iterator[tuple[Literal["stdout", "stderr"], bytes]]:
    """Yield a piped process's output as it comes, until both streams are closed."""
    written: queue.SimpleQueue[tuple[Literal["stdout", "stderr"], bytes]] = queue.SimpleQueue()

    def read(name: Literal["stdout", "stderr"], stream: IO[bytes]) -> None:
        while chunk := os.read(stream.fileno(), _CHUNK):
            written.put((name, chunk))
        written.put((name, b""))

    assert process.stdout is not None and process.stderr is not None
    threading.Thread(target=read, args=("stdout", process.stdout), daemon=True).start()
    threading.Thread(target=read, args=("stderr", process.stderr), daemon=True).start()
    closed = 0
    while closed < 2:
        name, chunk = written.get()
        if chunk:
            yield name, chunk
        else:
            closed += 1
