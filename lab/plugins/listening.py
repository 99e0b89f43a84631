"""Run a plugin process: listen, print the port, and end with the engine."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import NoReturn

import grpc

from lab.plugins.engine import Engine
from lab.plugins.protocol import CHANNEL_OPTIONS

# Upper limit of threads. A waiting create occupies one, and `pulumi up` runs any number at once.
WORKERS = 256
# Seconds for the clean-up. The engine kills a plugin 5 s after asking it to end.
CLEAN_UP = 4.0


def engine_address(program: str, description: str, debugging: str, arguments: Sequence[str]) -> str:
    """Return the engine's address from the command line, "" if the plugin was started by hand."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=f"To debug it, run it without an argument, then: {debugging} pulumi preview",
    )
    parser.add_argument("engine", nargs="?", default="", help="address of the engine, host:port")
    # The engine passes these on from its own command line.
    parser.add_argument("--logtostderr", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tracing", help=argparse.SUPPRESS)
    return parser.parse_args(arguments).engine


def listen(
    register: Callable[[grpc.Server], None],
    engine: Engine,
    stop: Callable[[], None],
    *,
    keep_stdout: bool = False,
) -> NoReturn:
    """Print the port, serve on loopback until the engine ends or asks for the end, then call `stop` and exit.

    Later output to stdout goes to stderr, unless `keep_stdout` keeps it for child processes.
    """
    ended = threading.Event()
    # Python delivers signals to this thread, the main one, which may hold the event's lock: another thread sets it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=ended.set).start())
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=WORKERS), options=CHANNEL_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    if not keep_stdout:
        os.dup2(2, 1)
    engine.watch(ended.set)

    ended.wait()
    cleaning = threading.Thread(target=stop, daemon=True)
    cleaning.start()
    cleaning.join(CLEAN_UP)
    server.stop(grace=None)
    # A normal exit would wait for the worker threads.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
