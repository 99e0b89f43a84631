"""Leftovers of a simulated cloud on this machine, besides its account: database servers, addresses, DNS zones.

The search looks at the machine itself, so it also finds what the records have lost.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from lab import cgroups
from lab.layout import Lab
from lab.plugins import addresses, zones
from lab.plugins.postgres import Server
from lab.simulation import Simulation

END_SECONDS = 10.0  # longest wait for a server to end after SIGQUIT


def leftovers(lab: Lab, cloud: str, simulation: Simulation) -> list[str]:
    """Return a description of each leftover."""
    folder = _servers_folder(lab, cloud, simulation)
    processes = _processes(folder, cgroups.processes(lab))
    return [
        *(f"PostgreSQL server's files in {each}" for each in _server_folders(folder)),
        *(f"PostgreSQL server, process {pid}" for pid in processes),
        *(f"address {each} of a server" for each in addresses.taken(lab, cloud)),
        *(f"DNS zone {each}" for each in _zones(lab, simulation)),
    ]


def remove(lab: Lab, cloud: str, simulation: Simulation) -> None:
    """Remove all leftovers."""
    folder = _servers_folder(lab, cloud, simulation)
    for each in _server_folders(folder):
        Server(lab, each, port=0).destroy()
    deadline = time.monotonic() + END_SECONDS
    while (running := _processes(folder, cgroups.processes(lab))) and time.monotonic() < deadline:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        time.sleep(0.1)
    addresses.release_all(lab, cloud)
    for each in _zones(lab, simulation):
        zones.remove(lab, each)


def _servers_folder(lab: Lab, cloud: str, simulation: Simulation) -> Path:
    return lab.state / "clouds" / (simulation.servers or cloud)


def _server_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("database-*"))


def _processes(folder: Path, candidates: set[int]) -> list[int]:
    """Return the processes that were started with a server's data folder; their children do not show it."""
    return sorted(pid for pid in candidates if f"{folder}/database-" in _command_line(pid))


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # it has ended


def _zones(lab: Lab, simulation: Simulation) -> list[str]:
    return sorted(file.stem for domain in simulation.domains for file in lab.zones.glob(f"*.{domain}.zone"))
