"""A headless Chromium, driven by its DevTools protocol over a WebSocket."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

#: Seconds that the browser may take to start, and to answer.
PATIENCE = 60.0
#: Reports that a page is not as it should be: a script's error, a refused resource or script, a dialog.
FAULTS = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening", "Audits.issueAdded")


@dataclass
class Tab:
    """A page in the browser. ``faults`` has what went wrong on it, ``requests`` every address that it asked for."""

    socket: Any
    faults: list[Any] = field(default_factory=list[Any])
    requests: list[str] = field(default_factory=list[str])
    _number: int = 0
    _events: list[str] = field(default_factory=list[str])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        message = json.loads(self.socket.recv())
        method, parameters = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if method in FAULTS:
            self.faults.append(parameters)
        return message

    def open(self, address: str, *, width: int = 1100, dark: bool = False) -> None:
        """Open an address and wait until it has loaded."""
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self._events:
            self._receive()

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true, in the browser."""
        frames = (
            f"new Promise(done => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look() }})"
        )
        assert self.run(frames)

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text)

    def screenshot(self, file: Path, *, height: int | None = None) -> None:
        """Write a picture of the whole page, or of its first ``height`` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def chromium(profile: Path) -> Generator[int]:
    """Run a browser with an empty profile; yield the port of its DevTools."""
    options = ("--headless", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run", "--hide-scrollbars")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to run as root with it
    process = subprocess.Popen(
        ["chromium", *options, *sandbox, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ports, deadline = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
        while not (ports.exists() and ports.read_text().strip()):
            assert process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        yield int(ports.read_text().splitlines()[0])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def tab(port: int) -> Generator[Tab]:
    """Open an empty page, which shares no cookies with others."""
    address = f"http://127.0.0.1:{port}"
    made = json.load(urllib.request.urlopen(urllib.request.Request(f"{address}/json/new?about:blank", method="PUT")))
    socket = websocket.create_connection(made["webSocketDebuggerUrl"], timeout=PATIENCE, suppress_origin=True)
    try:
        yield Tab(socket)
    finally:
        socket.close()
        urllib.request.urlopen(f"{address}/json/close/{made['id']}").close()


def install_browser() -> None:
    """Install Debian's Chromium, if there is none."""
    if shutil.which("chromium") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, stdout=subprocess.DEVNULL)
