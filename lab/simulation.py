"""How the lab simulates a cloud, besides its plugin. Each cloud defines it in `lab/plugins/<cloud>/simulation.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from lab.layout import PACKAGE
from lab.plugins.account import Account

PLUGINS = PACKAGE / "plugins"


@dataclass(frozen=True)
class Loss:
    """A lost database."""

    seen: str = ""
    """How it was lost."""
    restore: Mapping[str, str] = field(default_factory=dict[str, str])
    """The value of `databaseRestore` that gets the data back."""
    server_exists: bool = False
    """Whether only the data is lost."""


@dataclass(frozen=True)
class Simulation:
    """How the lab simulates a cloud."""

    login: Callable[[Path], Mapping[str, str]]
    """Write the files of a login to the simulated account into a folder; return its environment variables."""
    clear: Callable[[Account], None]
    """Remove the real servers and host names behind the account's resources."""
    lose: Callable[[Account], Loss]
    """Lose the account's database so that its backups can restore it."""
    commands: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further commands on PATH, with their Python modules."""
    hidden: tuple[str, ...] = ()
    """Environment variables that could reach a real account, removed from every process of a rehearsal."""
    config: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Config keys to set in the copy of the stack file; None removes a key."""
    first_day: tuple[str, ...] = ()
    """Faults that a newcomer meets before the first `up` succeeds, in this order; commas join what is met at once."""
    drift: str = ""
    """The fault by which the cloud asks for a change of the platform."""
    unoffered_version: str = ""
    """A value of `kubernetesVersion` that the cloud does not offer, as any version is some day."""
    undeletable: str = ""
    """The resource type whose deletion fails while a site does not answer, in a `destroy` of the first day."""
    servers: str = ""
    """Folder of the database servers beside the accounts, if it is not the account's own."""
    domains: tuple[str, ...] = ()
    """Suffixes of the DNS zones of the servers' host names."""


def clouds() -> list[str]:
    """Return the clouds that the lab simulates: those with a simulation file."""
    return sorted(file.parent.name for file in PLUGINS.glob("*/simulation.py"))


def of_cloud(cloud: str) -> Simulation:
    """Return the simulation of one of `clouds()`."""
    simulation: Simulation = import_module(f"lab.plugins.{cloud}.simulation").SIMULATION
    return simulation
