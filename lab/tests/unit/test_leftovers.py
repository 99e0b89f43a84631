"""What a simulated cloud leaves on the machine is found and removed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import leftovers
from lab.layout import Lab
from lab.plugins import addresses
from lab.simulation import Loss, Simulation

SIMULATION = Simulation(login=lambda _: {}, clear=lambda _: None, lose=lambda _: Loss(), domains=("databases.example",))


@pytest.fixture
def zones(lab: Lab) -> Iterator[Path]:
    lab.zones.mkdir(parents=True)
    yield lab.zones


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by cloud, in place of the kernel's."""
    taken: dict[str, list[str]] = {}
    monkeypatch.setattr(addresses, "taken", lambda _, cloud: taken.get(cloud, []))
    monkeypatch.setattr(addresses, "release", lambda _, address: [each.remove(address) for each in taken.values()])
    return taken


def test_a_clean_machine_has_no_leftovers(lab: Lab) -> None:
    assert leftovers.leftovers(lab, "mars", SIMULATION) == []


def test_files_zones_and_addresses_are_found_and_removed(lab: Lab, zones: Path, kernel: dict[str, list[str]]) -> None:
    server = lab.state / "clouds" / "mars" / "database-1"
    server.mkdir(parents=True)
    (zones / "one.databases.example.zone").touch()
    (zones / "one.of-another-cloud.example.zone").touch()
    kernel["mars"] = ["10.203.2.9"]
    assert leftovers.leftovers(lab, "mars", SIMULATION) == [
        f"PostgreSQL server's files in {server}",
        "address 10.203.2.9 of a server",
        "DNS zone one.databases.example",
    ]
    leftovers.remove(lab, "mars", SIMULATION)
    assert leftovers.leftovers(lab, "mars", SIMULATION) == []
    assert (zones / "one.of-another-cloud.example.zone").exists()


def test_servers_may_have_their_own_folder(lab: Lab) -> None:
    (lab.state / "clouds" / "mars-servers" / "database-1").mkdir(parents=True)
    assert leftovers.leftovers(lab, "mars", SIMULATION) == []
    assert len(leftovers.leftovers(lab, "mars", replace(SIMULATION, servers="mars-servers"))) == 1


def test_a_server_without_files_is_found_and_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lab.state / "clouds" / "mars" / "database-1" / "data"
    # A shell starts background jobs with SIGQUIT ignored, and so would the program, unlike PostgreSQL.
    program = "import signal, time; signal.signal(3, signal.SIG_DFL); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, "-D", str(data)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # it runs now, with its own command line
        monkeypatch.setattr(leftovers.cgroups, "processes", lambda _: {process.pid})
        assert leftovers.leftovers(lab, "mars", SIMULATION) == [f"PostgreSQL server, process {process.pid}"]
        leftovers.remove(lab, "mars", SIMULATION)
        assert process.wait(5) != 0
        assert leftovers.leftovers(lab, "mars", SIMULATION) == []
