"""The Pulumi engine as a plugin sees it: it shows the plugin's messages, and its end is the plugin's end."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable

import grpc

from lab.plugins.protocol import CHANNEL_OPTIONS, engine_pb2, engine_pb2_grpc

# Seconds between two checks that the engine is alive, and the number of failures in a row that mean it is not.
WATCH_INTERVAL = 0.4
WATCH_FAILURES = 2


class Engine:
    """Shows messages to the user. Without an address (a plugin started by hand) it drops them."""

    def __init__(self, address: str = "") -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._channel: grpc.Channel | None = None
        self.attach(address)

    def attach(self, address: str) -> None:
        """Connect to the engine at this address (`host:port`)."""
        if address:
            self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
            self._stub = engine_pb2_grpc.EngineStub(self._channel)

    def debug(self, message: str, urn: str = "") -> None:
        """Log a message that only `pulumi --debug` shows."""
        self._log(engine_pb2.DEBUG, message, urn)

    def info(self, message: str, urn: str = "") -> None:
        """Show a line below the resource."""
        self._log(engine_pb2.INFO, message, urn)

    def status(self, message: str, urn: str) -> None:
        """Show what happens to the resource now. The next status replaces it."""
        self._log(engine_pb2.INFO, message, urn, ephemeral=True)

    def warning(self, message: str, urn: str = "") -> None:
        """Show a warning below the resource."""
        self._log(engine_pb2.WARNING, message, urn)

    def _log(self, severity: int, message: str, urn: str, ephemeral: bool = False) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.ValueType(severity), message=message, urn=urn, ephemeral=ephemeral
        )
        # A stopping engine shows no more messages.
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=10)

    def is_alive(self) -> bool:
        """Return whether the engine responds, be it with an error."""
        if self._channel is None:
            return False
        check = self._channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            check(b"", timeout=2)
        except grpc.RpcError as error:
            # On a busy machine the response may be late. Only a refused connection means that the engine is gone.
            return not (isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.UNAVAILABLE)
        return True

    def watch(self, gone: Callable[[], None]) -> None:
        """Call `gone` once the engine has ended for any reason; never for a plugin started by hand.

        Stdin is a pipe from the engine, so it closes at once. With a wrapper script or a debugger in between it does
        not, but the engine no longer responds, which shows within about a second.
        """
        if self._channel is None:
            return
        threading.Thread(target=self._poll, args=(gone,), name="engine-watch", daemon=True).start()
        if stat.S_ISFIFO(os.fstat(0).st_mode):
            threading.Thread(target=self._read_stdin, args=(gone,), name="engine-stdin", daemon=True).start()

    def _poll(self, gone: Callable[[], None]) -> None:
        failures = 0
        waiting = threading.Event()
        while failures < WATCH_FAILURES:
            waiting.wait(WATCH_INTERVAL)
            failures = 0 if self.is_alive() else failures + 1
        gone()

    def _read_stdin(self, gone: Callable[[], None]) -> None:
        while os.read(0, 4096):
            pass
        gone()
