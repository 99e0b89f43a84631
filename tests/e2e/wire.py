"""A proxy to the cluster's API server that can be cut: connections close and new ones are refused until restored."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml


class Wire:
    """A loopback port in front of a kubeconfig's API server; ``kubeconfig`` is a copy that connects through it."""

    def __init__(self, kubeconfig: Path, copy: Path) -> None:
        document: Any = yaml.safe_load(kubeconfig.read_text())
        (entry,) = document["clusters"]
        server = urlsplit(entry["cluster"]["server"])
        self._server = (str(server.hostname), int(server.port or 443))
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._port = 0
        self.restore()
        entry["cluster"]["server"] = f"https://127.0.0.1:{self._port}"
        copy.touch(0o600)
        copy.write_text(yaml.safe_dump(document))
        self.kubeconfig = copy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def restore(self) -> None:
        """Accept connections, always on the same port; do nothing if the wire is not cut."""
        if self._listener:
            return
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        listener, self._listener = self._listener, None
        for end in [*([listener] if listener else []), *self._open]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._server, timeout=10)
            except OSError:
                return  # cut
            far.settimeout(None)
            self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)
