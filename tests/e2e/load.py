"""Users of the addressbook during a release: an open-loop load, and a report of what they noticed.

`python tests/e2e/load.py URL --rate 150` runs until it is interrupted or `--seconds` have passed, then prints a report
as JSON. Requests start by the clock, whatever became of earlier ones: an open loop does not spare a server that stalls.
One in five uses a kept-alive connection, the others fresh ones. None is retried.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import ssl
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

#: Of a request, and of the final look at all persons.
TIMEOUT_SECONDS, FINAL_TIMEOUT_SECONDS = 10.0, 60.0
#: Connections kept alive: few enough that each is used several times a second.
KEPT_CONNECTIONS = 8
#: One request in so many uses one of them.
KEPT_EVERY = 5
#: Out of a thousand requests; all others read one person.
WRITES, READS_OF_ALL = 80, 5
FAILURES_SHOWN = 20
LONGEST_SECONDS = 1800.0


@dataclass
class Report:
    """What the users saw. Every answer but the expected one is a failure: a status, a reset, a timeout."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter[str])
    failures: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    seconds: list[float] = field(default_factory=list[float])
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])

    def json(self) -> str:
        ordered = sorted(self.seconds) or [0.0]
        quantiles = {f"p{q}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * q // 100)]) for q in (50, 99)}
        return json.dumps(
            {
                "requests": self.requests,
                "answers": dict(self.answers),
                "failed": len(self.failures),
                "failures": self.failures[:FAILURES_SHOWN],
                "milliseconds": {**quantiles, "longest": round(1000 * ordered[-1])},
                "lost": self.lost[:FAILURES_SHOWN],
                "doubled": self.doubled[:FAILURES_SHOWN],
            }
        )


class Client:
    """A minimal HTTP/1.1 client: a general one would take the time that the tested pods need.

    It keeps at most ``kept`` connections alive. A connection that the server has closed while idle is not used again.
    ``address`` is where it connects, if that is not the URL's host; ``ca`` is a file with an HTTPS server's authority.
    """

    def __init__(self, url: str, kept: int, address: str = "", ca: str = "") -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._address = address or self._host
        self._context = ssl.create_default_context(cafile=ca or None) if self._tls else None
        self._kept = kept
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def request(
        self, method: str, path: str, form: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> tuple[int, bytes]:
        """Return status and body. Raises OSError (also on a timeout), EOFError or ValueError."""
        status, _, content = await self.exchange(method, path, {}, form, timeout)
        return status, content

    async def exchange(
        self,
        method: str,
        path: str,
        more: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send ``more`` headers too; return status, headers by their names in lower case, and body. Raises as above."""
        body = urlencode(form or {}).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        lines += ["Content-Type: application/x-www-form-urlencoded"] if form else []
        lines += [] if self._kept else ["Connection: close"]
        async with asyncio.timeout(timeout):
            reader, writer = await self._connection()
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
                headers = {name.lower(): value for name, value in fields}
                content = await _body(reader, headers)
            except BaseException:
                writer.close()
                raise
        if headers.get("connection", "").lower() != "close" and len(self._idle) < self._kept:
            self._idle.append((reader, writer))
        else:
            writer.close()
        return int(head.split(" ", 2)[1]), headers, content

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop(0)
            if not reader.at_eof():
                return reader, writer
            writer.close()
        name = self._host if self._tls else None
        return await asyncio.open_connection(self._address, self._port, ssl=self._context, server_hostname=name)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """Read a body by its length or, like a long list's, in chunks. Raises KeyError if it has neither."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers["content-length"]))
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)


class Users:
    """Send requests at a steady rate and remember every person the service acknowledged."""

    def __init__(self, url: str, rate: float, seed: int, address: str = "", ca: str = "") -> None:
        self.report = Report()
        self._client = lambda kept: Client(url, kept, address, ca)
        self._interval = 1 / rate
        self._random = random.Random(seed)
        self._stored: dict[str, int] = {}  # id by last name, which is unique
        self._sent: set[str] = set()
        self._ids: list[int] = []

    async def run(self, stop: asyncio.Event, seconds: float) -> None:
        """Send requests until stopped, then check that every acknowledged person is stored."""
        began = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        kept, fresh = self._client(KEPT_CONNECTIONS), self._client(0)
        for number in itertools.count():
            due = began + number * self._interval
            if stop.is_set() or time.monotonic() - began > seconds:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            on_fresh = bool(number % KEPT_EVERY)
            task = asyncio.create_task(self._send(fresh if on_fresh else kept, on_fresh))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        await self._check_stored(fresh)

    async def _send(self, client: Client, fresh: bool) -> None:
        kind = self._random.randrange(1000)
        began = time.monotonic()
        self.report.requests += 1
        name = ""
        if kind < WRITES or not self._ids:
            what = "PUT /person"
            name = f"load-{uuid.uuid4()}"
            self._sent.add(name)
            request = client.request("PUT", "/person", {"firstName": "Open", "lastName": name})
        elif kind < WRITES + READS_OF_ALL:
            what = "GET /all"
            request = client.request("GET", "/all")
        else:
            what = "GET /person/:id"
            request = client.request("GET", f"/person/{self._random.choice(self._ids)}")
        try:
            status, body = await request
        except (OSError, EOFError, ValueError, KeyError, asyncio.LimitOverrunError) as error:
            self._failed(what, fresh, f"{type(error).__name__} {error}".strip(), began)
            return
        self.report.seconds.append(time.monotonic() - began)
        if status != 200:
            self._failed(what, fresh, str(status), began, body[:200].decode(errors="replace"))
            return
        self.report.answers["200"] += 1
        if name:
            self._stored[name] = int(json.loads(body)["id"])
            self._ids.append(self._stored[name])

    def _failed(self, what: str, fresh: bool, answer: str, began: float, body: str = "") -> None:
        self.report.answers[answer.split()[0]] += 1
        self.report.failures.append(
            {
                "what": what,
                "connection": "fresh" if fresh else "kept alive",
                "answer": answer,
                "body": body,
                "at": time.strftime("%H:%M:%S"),
                "after": round(time.monotonic() - began, 3),
            }
        )

    async def _check_stored(self, client: Client) -> None:
        """Report persons that are missing or stored twice. A person whose PUT got no answer may be there, but once."""
        status, body = await client.request("GET", "/all", timeout=FINAL_TIMEOUT_SECONDS)
        if status != 200:
            raise ValueError(f"GET /all answers {status}: {body[:200]!r}")
        stored = Counter(str(person["lastName"]) for person in json.loads(body))
        self.report.lost = [name for name in self._stored if stored[name] == 0]
        self.report.doubled = [name for name, times in stored.items() if name in self._sent and times > 1]


async def main() -> int:
    parser = argparse.ArgumentParser(description="Load the addressbook until interrupted, then report as JSON.")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=60, help="requests a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=LONGEST_SECONDS, help="longest run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which requests, in which order (default: %(default)s)")
    parser.add_argument("--address", default="", help="connect to this address instead of the URL's host")
    parser.add_argument("--ca", default="", help="file with the authority of the server's certificate")
    options = parser.parse_args()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    users = Users(options.url, options.rate, options.seed, options.address, options.ca)
    await users.run(stop, options.seconds)
    print(users.report.json())
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
