"""IPv4 and IPv6."""

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest
from addressbook_testing.service import Service

from addressbook.server import listen


def test_default_address_is_reached_over_both_protocols(
    database: dict[str, str], start_service: Callable[..., Service]
) -> None:
    service = start_service({**database, "LISTEN_ADDRESS": "::"})
    service.wait_until("/live")
    hosts = ["127.0.0.1", *(["::1"] if has_ipv6_loopback() else [])]
    for host in hosts:
        for port in (service.port, service.metrics_port):
            with socket.create_connection((host, port), timeout=10):
                pass


def has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    create = socket.create_server

    def without_ipv6(address: tuple[str, int], **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with listen("::", 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"
