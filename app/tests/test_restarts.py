"""PostgreSQL restarts again and again under load: users get 200, or 503 with Retry-After."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import asyncpg
from addressbook_testing.postgres import PostgresServer
from addressbook_testing.service import FORM, Service, run_command

Environment = dict[str, str]
RESTARTS = 10


@dataclass
class User:
    """Create, list and read persons until told to stop; count the answers."""

    service: Service
    name: str
    ended: threading.Event
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    wrong: list[str] = field(default_factory=list[str])
    stored: set[str] = field(default_factory=set[str])
    """Names whose creation was confirmed."""
    refused: set[str] = field(default_factory=set[str])
    """Names about which the service said that nothing was stored."""

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"{self.name}-{number}"
            body = urlencode({"firstName": name, "lastName": "Load"}).encode()
            status, text = self.ask("PUT", "/person", body)
            if status == 200:
                self.stored.add(name)
            elif "nothing was stored" in text:
                self.refused.add(name)
            self.ask("GET", "/all?limit=3", None)
            self.ask("GET", "/person/1", None)

    def ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": FORM} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        self.answers[method, response.status] += 1
        if response.status != 200 and (response.status, response.getheader("Retry-After")) != (503, "1"):
            self.wrong.append(f"{method} {path}: {response.status} {text}")
        return response.status, text


def test_restarts_under_load_give_200_or_503_only(
    own_server: Callable[..., PostgresServer],
    start_service: Callable[..., Service],
    sql: Callable[..., list[asyncpg.Record]],
) -> None:
    server = own_server()
    server.start()
    assert run_command("migrate", environment=server.environment).returncode == 0
    service = start_service(server.environment)
    service.wait_until("/ready")
    assert service.put(firstName="First", lastName="Person").status == 200
    ended = threading.Event()
    users = [User(service, f"user{number}", ended) for number in range(8)]
    threads = [threading.Thread(target=user.run) for user in users]
    for thread in threads:
        thread.start()
    try:
        for _ in range(RESTARTS):
            before = sum(user.answers["PUT", 200] for user in users)
            while sum(user.answers["PUT", 200] for user in users) < before + 16 and not any(
                user.wrong for user in users
            ):
                ended.wait(0.01)
            server.stop()
            server.start()
        service.wait_until("/ready")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert [wrong for user in users for wrong in user.wrong] == []
    names = Counter(row["first_name"] for row in sql(server.environment, "SELECT first_name FROM person"))
    assert set(names.values()) == {1}
    assert set().union(*(user.stored for user in users)) <= set(names)
    assert not set().union(*(user.refused for user in users)) & set(names)
