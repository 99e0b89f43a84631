"""The database stops, restarts, comes late or hangs: the service reports it and recovers."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from addressbook_testing.postgres import PostgresServer
from addressbook_testing.service import Answer, Service, run_command

Environment = dict[str, str]
Start = Callable[[Environment], Service]
NOTHING_STORED = "The database is not available now and nothing was stored: try again."


def migrated(server: PostgresServer) -> Environment:
    server.start()
    result = run_command("migrate", environment=server.environment)
    assert result.returncode == 0, result.stderr
    return server.environment


def test_service_survives_a_database_restart(
    own_server: Callable[..., PostgresServer], start_service: Start
) -> None:
    server = own_server()
    service = start_service(migrated(server))
    service.wait_until("/ready")
    ada = service.put(firstName="Ada", lastName="Lovelace").json
    assert isinstance(ada, dict)
    process = service.process.pid

    server.stop()
    for answer in (service.get("/all"), service.put(firstName="Not", lastName="Stored")):
        assert (answer.status, answer.error) == (503, NOTHING_STORED)
        assert answer.headers["retry-after"] == "1"
    ready = service.get("/ready")
    assert ready.status == 500
    assert ready.json == {
        "ready": False,
        "error": "The database refuses connections: nothing listens on its port.",
    }
    assert service.get("/live").status == 200

    server.start()
    service.wait_until("/ready")
    assert service.get("/all").json == [ada]
    assert service.process.pid == process
    assert service.process.poll() is None


def restarts(own_server: Callable[..., PostgresServer], start_service: Start) -> Iterator[Service]:
    """Yield a service three times, each time after a restart that left all of its pooled connections dead."""
    server = own_server()
    service = start_service(migrated(server))
    service.wait_until("/ready")
    for _ in range(3):
        fill_the_pool(service)
        server.stop()
        server.start()
        yield service


def test_reads_survive_a_quick_restart(
    own_server: Callable[..., PostgresServer], start_service: Start
) -> None:
    for service in restarts(own_server, start_service):
        # Each connection must be replaced without a user seeing it.
        assert [service.get("/all").status for _ in range(8)] == [200] * 8


def test_changes_survive_a_quick_restart(
    own_server: Callable[..., PostgresServer], start_service: Start
) -> None:
    for service in restarts(own_server, start_service):
        # The statements were never sent over the dead connections, so they may be sent over new ones.
        assert [service.put(firstName="Once", lastName="More").status for _ in range(8)] == [200] * 8


def test_changed_columns_fail_no_request(
    empty_database: Environment, start_service: Start, sql: Callable[..., object]
) -> None:
    assert run_command("migrate", environment=empty_database).returncode == 0
    service = start_service(empty_database)
    service.wait_until("/ready")
    for kind in ("varchar(300)", "text"):
        # The statements that the connections hold were prepared for the type before.
        fill_the_pool(service)
        assert service.put(firstName="Ada", lastName="Lovelace").status == 200
        sql(empty_database, f"ALTER TABLE person ALTER COLUMN first_name TYPE {kind}")
        assert service.put(firstName="Ada", lastName="Lovelace").status == 200
        assert [service.get("/all").status for _ in range(8)] == [200] * 8


def fill_the_pool(service: Service) -> None:
    threads = [threading.Thread(target=service.get, args=["/all"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_service_starts_before_its_database(
    own_server: Callable[..., PostgresServer], start_service: Start
) -> None:
    server = own_server()
    service = start_service(server.environment)
    service.wait_until("/live")
    assert service.get("/ready").status == 500
    server.start()
    not_migrated = service.wait_until("/ready", 500)
    while "refuses" in str(not_migrated.json):
        not_migrated = service.get("/ready")
    assert not_migrated.json == {
        "ready": False,
        "error": "The database lacks the addressbook's tables: run `addressbook migrate`.",
    }
    assert run_command("migrate", environment=server.environment).returncode == 0
    service.wait_until("/ready")


def test_readiness_does_not_wait_for_busy_connections(
    database: Environment,
    start_service: Start,
    table_lock: Callable[..., AbstractContextManager[Callable[[], bool]]],
) -> None:
    service = start_service({**database, "DB_POOL_SIZE": "2"})
    service.wait_until("/ready")
    row = service.put(firstName="Locked", lastName="Row").json
    assert isinstance(row, dict)
    changes = [
        threading.Thread(target=service.put, kwargs={"id": str(row["id"]), "firstName": "A", "lastName": "B"})
        for _ in range(8)
    ]
    with table_lock(database, "EXCLUSIVE") as statement_waits:
        for change in changes:
            change.start()
        while not statement_waits():
            time.sleep(0.01)
        for _ in range(5):
            assert service.get("/ready").status == 200
    for change in changes:
        change.join()
    assert "addressbook_database_errors_total" in service.metrics()


@contextmanager
def mute_proxy(target: int) -> Iterator[tuple[int, threading.Event]]:
    """Forward bytes to the port `target`; once its event is set, accept them and never answer."""
    mute, ended = threading.Event(), threading.Event()
    sockets: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while not ended.is_set():
            try:
                data = source.recv(65536)
                if not data:
                    return
                if not mute.is_set():
                    sink.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while not ended.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", target))
            sockets.extend([client, upstream])
            for pair in ((client, upstream), (upstream, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1], mute
        finally:
            ended.set()
            for open_socket in sockets:
                open_socket.close()


def test_hanging_database_does_not_hang_the_service(database: Environment, start_service: Start) -> None:
    with mute_proxy(int(database["DB_PORT"])) as (port, mute):
        service = start_service({**database, "DB_PORT": str(port), "DB_POOL_SIZE": "5"})
        service.wait_until("/ready")
        fill_the_pool(service)
        mute.set()
        changes: list[Answer] = []
        readings: list[Answer] = []
        # The changes find a connection, and their answers never come; the readings find none.
        threads = [
            threading.Thread(target=lambda: changes.append(service.put(firstName="May", lastName="Be")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        while open_connections_in_use(service) < 4 and all(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        threads += [
            threading.Thread(target=lambda: readings.append(service.get("/person/1"))) for _ in range(8)
        ]
        for thread in threads[4:]:
            thread.start()
        assert service.get("/live").status == 200
        for thread in threads:
            thread.join()
        assert [(answer.status, answer.error) for answer in readings] == [(503, NOTHING_STORED)] * 8
        assert [answer.status for answer in changes] == [503] * 4
        assert all("whether the change was stored is not known" in answer.error for answer in changes)
        mute.clear()
        service.wait_until("/ready")


def open_connections_in_use(service: Service) -> float:
    gauges = dict(line.rsplit(" ", 1) for line in service.metrics().splitlines() if line[0] != "#")
    total = float(gauges["addressbook_database_connections"])
    return total - float(gauges["addressbook_database_connections_idle"])
