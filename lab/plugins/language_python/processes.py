"""Child processes of the language host: started, listened to, and ended with it."""

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

# How long a process may take to end after SIGTERM, in seconds.
TERMINATE = 2.0
_CHUNK = 65536


class Processes:
    """Every process the host has started. Each is the leader of a group, so that its children end with it."""

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
        """Start a process that ends when its call is cancelled. Piped, or with the host's own stdout and stderr."""
        stream = subprocess.PIPE if piped else None
        process = subprocess.Popen(
            command,
            cwd=folder or None,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            # A ctrl-C reaches the engine, which cancels the call: the program needs no second notice of it.
            process_group=0,
        )
        with self._lock:
            self._running.add(process)
        if not context.add_callback(lambda: self._end(process)):
            self._end(process)
        return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """It has ended by itself."""
        with self._lock:
            self._running.discard(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            running = process in self._running
        if running and process.poll() is None:
            _signal(process, signal.SIGTERM)
            try:
                process.wait(TERMINATE)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
        self.forget(process)

    def end_all(self) -> None:
        """End whatever runs."""
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
    """What a piped process writes, as it comes, until it closes both streams."""
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
