"""How a stack on DigitalOcean is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.plugins.account import Account
from lab.plugins.digitalocean.databases import server
from lab.simulation import Simulation


def _login(folder: Path) -> Mapping[str, str]:
    nothing = folder / "no-doctl-config.yaml"  # in place of the user's, which holds a real token
    return {"DIGITALOCEAN_ACCESS_TOKEN": "of-the-simulated-account", "DIGITALOCEAN_CONFIG": str(nothing)}


def _clear(account: Account) -> None:
    for record in account.records():
        if record.type == "DatabaseCluster":
            server(account, record).destroy()


SIMULATION = Simulation(
    login=_login,
    clear=_clear,
    commands={"doctl": "lab.plugins.digitalocean.doctl"},
    hidden=("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_API_URL", "DIGITALOCEAN_CONTEXT"),
)
