"""How a stack on DigitalOcean is rehearsed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lab.plugins.account import Account
from lab.plugins.backups import Backups
from lab.plugins.digitalocean.cloud import KINDS
from lab.plugins.digitalocean.databases import DatabaseCluster, DatabaseDb, DatabaseUser
from lab.plugins.engine import Engine
from lab.plugins.simulated import discard_all
from lab.simulation import Loss, Simulation

#: Nothing listens there, so no request of the program's own reaches DigitalOcean.
NO_API = "http://127.0.0.1:9"


def _login(folder: Path) -> Mapping[str, str]:
    no_config = folder / "no-doctl-config.yaml"  # hides the user's own, which holds a real token
    return {
        "DIGITALOCEAN_ACCESS_TOKEN": "of-the-simulated-account",
        "DIGITALOCEAN_CONFIG": str(no_config),
        "DIGITALOCEAN_API_URL": NO_API,
    }


def _lose(account: Account) -> Loss:
    """Take the day's backup, then delete all data. The backups of a deleted server are deleted with it."""
    (record,) = account.records(DatabaseCluster.__name__)
    (database,) = account.records(DatabaseDb.__name__)
    kind = DatabaseCluster(account, Engine())
    backup = kind.take_backup(record, f"daily-{record.id}")
    Backups(account).publish(backup)
    (user,) = account.records(DatabaseUser.__name__)
    kind.server(record).sql(f'DROP OWNED BY "{user.inputs["name"]}"', database=database.inputs["name"])
    restore = {"server": record.inputs["name"], "time": backup.taken}
    return Loss(f"all data in {record.inputs['name']} was deleted", restore, server_exists=True)


SIMULATION = Simulation(
    login=_login,
    clear=partial(discard_all, KINDS),
    lose=_lose,
    commands={"doctl": "lab.plugins.digitalocean.doctl"},
    first_day=(
        "expired",
        "quota:Droplet,retired:KubernetesCluster",
        "name-taken:ContainerRegistry",
        "timeout:KubernetesCluster",
    ),
    unoffered_version="1.36.9-do.0",
    # Revoking registry credentials needs cloud.digitalocean.com.
    undeletable="ContainerRegistryDockerCredentials",
    hidden=("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_CONTEXT"),
)
