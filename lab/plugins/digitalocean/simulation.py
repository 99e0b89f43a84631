"""How a stack on DigitalOcean is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lab.plugins.digitalocean.cloud import KINDS
from lab.plugins.simulated import discard_all
from lab.simulation import Simulation

#: Nothing listens there, so no request of the program's own reaches DigitalOcean.
NO_API = "http://127.0.0.1:9"


def _login(folder: Path) -> Mapping[str, str]:
    no_config = folder / "no-doctl-config.yaml"  # hides the user's own, which holds a real token
    return {
        "DIGITALOCEAN_ACCESS_TOKEN": "of-the-simulated-account",
        "DIGITALOCEAN_CONFIG": str(no_config),
        "DIGITALOCEAN_API_URL": NO_API,
    }


SIMULATION = Simulation(
    login=_login,
    clear=partial(discard_all, KINDS),
    commands={"doctl": "lab.plugins.digitalocean.doctl"},
    hidden=("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_CONTEXT"),
)
