"""SIGTERM under load: no request on a kept-alive connection is lost, and the process ends in bounded time."""

import http.client
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from addressbook_testing.service import STOP_SECONDS, Service

from addressbook.drain import QUIET_SECONDS, Drain

Environment = dict[str, str]
Start = Callable[[Environment], Service]


@dataclass
class KeptAliveClient:
    """Request `/all` over one connection, with pauses; reconnect only after `Connection: close`."""

    service: Service
    pause: float
    lost: list[str] = field(default_factory=list)
    answered: int = 0
    closed_politely: int = 0

    def run(self) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=15)
            try:
                connection.connect()
            except OSError:
                return  # nobody listens any more: the process ended
            try:
                if not self._use(connection):
                    return
            finally:
                connection.close()

    def _use(self, connection: http.client.HTTPConnection) -> bool:
        """Send requests until told to close (return True) or a request is lost."""
        answered_here = 0
        while True:
            try:
                connection.request("GET", "/all")
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                # A connection that the kernel took but the process never saw is no kept-alive one.
                if answered_here:
                    self.lost.append(f"{type(error).__name__} after {answered_here} answers")
                return False
            if response.status != 200:
                self.lost.append(f"status {response.status}")
            answered_here += 1
            self.answered += 1
            if response.will_close:
                self.closed_politely += 1
                return True
            time.sleep(self.pause)


def test_no_request_on_a_kept_alive_connection_is_lost(database: Environment, start_service: Start) -> None:
    service = start_service({**database, "DRAIN_SECONDS": "6"})
    service.wait_until("/ready")
    pauses = [0.0] * 4 + [0.01] * 8 + [0.3, 0.7, 1.1, 1.9] * 2
    clients = [KeptAliveClient(service, pause) for pause in pauses]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    try:
        while not all(client.answered for client in clients):
            time.sleep(0.01)
        service.terminate()
        assert service.process.wait(STOP_SECONDS) == 0
    finally:
        service.process.kill()  # on failure only: it has ended already
        for thread in threads:
            thread.join()
    assert [client.lost for client in clients if client.lost] == []
    assert all(client.closed_politely for client in clients)


def test_running_request_is_finished(
    database: Environment,
    start_service: Start,
    table_lock: Callable[..., AbstractContextManager[Callable[[], bool]]],
) -> None:
    service = start_service(database)
    service.wait_until("/ready")
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(service.get("/all").status))
    with table_lock(database) as statement_waits:
        asking.start()
        while not statement_waits():
            time.sleep(0.01)
        service.terminate()
        while service.get("/live").headers.get("connection") != "close":
            time.sleep(0.01)
    assert service.process.wait(STOP_SECONDS) == 0
    asking.join()
    assert answers == [200]


def test_idle_connection_does_not_block_shutdown(database: Environment, start_service: Start) -> None:
    service = start_service({**database, "DRAIN_SECONDS": "1"})
    service.wait_until("/ready")
    with socket.create_connection(("127.0.0.1", service.port)) as silent:
        silent.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in silent.recv(65536)
        with socket.create_connection(("127.0.0.1", service.port)) as stuck:
            stuck.sendall(b"PUT /person HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")  # and never more
            service.terminate()
            assert service.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_second_signal_stops_at_once(
    database: Environment, start_service: Start, signals: list[signal.Signals]
) -> None:
    service = start_service({**database, "DRAIN_SECONDS": "600"})
    service.wait_until("/ready")
    with socket.create_connection(("127.0.0.1", service.port)) as idle:
        idle.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in idle.recv(65536)
        for number in signals:
            service.process.send_signal(number)
            time.sleep(0.3)  # two signals that are pending together are one
        assert service.process.wait(STOP_SECONDS) == 0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_drain_rules() -> None:
    clock = Clock()
    drain = Drain(10, clock)
    drain.watch(3)
    assert (drain.started, drain.accepting(), drain.over()) == (False, True, False)
    drain.begin()
    drain.watch(3)
    assert (drain.accepting(), drain.over()) == (True, False)
    clock.now += 5
    drain.watch(1)
    assert (drain.accepting(), drain.over()) == (False, False)
    drain.watch(0)
    clock.now += QUIET_SECONDS
    assert drain.over()
    drain.watch(1)
    assert not drain.over()
    clock.now = 110.0
    drain.watch(1)
    assert drain.over()
