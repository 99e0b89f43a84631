"""The Pulumi engine as a plugin sees it: where messages go, and whose end is the plugin's end."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable

import grpc

from lab.plugins.protocol import CHANNEL_OPTIONS, engine_pb2, engine_pb2_grpc

# How often a plugin looks whether its engine still lives, in seconds, and how many looks in a row must fail.
WATCH_INTERVAL = 0.4
WATCH_FAILURES = 2


class Engine:
    """Messages to the person who runs `pulumi`. Without an address (a plugin started by hand) they go nowhere."""

    def __init__(self, address: str = "") -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._channel: grpc.Channel | None = None
        self.attach(address)

    def attach(self, address: str) -> None:
        """Use the engine at this address (`host:port`) from now on."""
        if address:
            self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
            self._stub = engine_pb2_grpc.EngineStub(self._channel)

    def debug(self, message: str, urn: str = "") -> None:
        """Shown with `pulumi --debug` only."""
        self._log(engine_pb2.DEBUG, message, urn)

    def info(self, message: str, urn: str = "") -> None:
        """A line that stays, beneath the resource."""
        self._log(engine_pb2.INFO, message, urn)

    def status(self, message: str, urn: str) -> None:
        """What is being done to the resource right now; the next one takes its place."""
        self._log(engine_pb2.INFO, message, urn, ephemeral=True)

    def warning(self, message: str, urn: str = "") -> None:
        """A warning that stays, beneath the resource."""
        self._log(engine_pb2.WARNING, message, urn)

    def error(self, message: str, urn: str = "") -> None:
        """An error that stays; it doesn't fail the resource by itself: raise `ProviderError` for that."""
        self._log(engine_pb2.ERROR, message, urn)

    def _log(self, severity: int, message: str, urn: str, ephemeral: bool = False) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.ValueType(severity), message=message, urn=urn, ephemeral=ephemeral
        )
        # An engine on its way out: nobody is left to read it.
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=10)

    def answers(self) -> bool:
        """Whether the engine is there; any answer will do, an error of its own included."""
        if self._channel is None:
            return False
        check = self._channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            check(b"", timeout=2)
        except grpc.RpcError as error:
            # A busy machine may be late to answer: only a refused connection means that the engine is gone.
            return not (isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.UNAVAILABLE)
        return True

    def watch(self, gone: Callable[[], None]) -> None:
        """Call `gone` once the engine has ended, however it ended; for a plugin started by hand, never.

        The engine holds the other end of its plugins' stdin, which tells at once. Where something lies between (a
        wrapper script, a debugger), looking whether the engine answers tells within about a second. A signal at the
        parent's death would tell nothing of an engine that is the parent's parent.
        """
        if self._channel is None:
            return
        threading.Thread(target=self._look, args=(gone,), name="engine-watch", daemon=True).start()
        if stat.S_ISFIFO(os.fstat(0).st_mode):
            threading.Thread(target=self._read_stdin, args=(gone,), name="engine-stdin", daemon=True).start()

    def _look(self, gone: Callable[[], None]) -> None:
        failures = 0
        waiting = threading.Event()
        while failures < WATCH_FAILURES:
            waiting.wait(WATCH_INTERVAL)
            failures = 0 if self.answers() else failures + 1
        gone()

    def _read_stdin(self, gone: Callable[[], None]) -> None:
        while os.read(0, 4096):
            pass
        gone()
