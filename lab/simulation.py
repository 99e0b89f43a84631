"""What a cloud needs to be rehearsed, beside its plugin. A cloud has it in ``lab/plugins/<cloud>/simulation.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from lab.layout import CHECKOUT
from lab.plugins.account import Account

PLUGINS = CHECKOUT / "lab" / "plugins"


@dataclass(frozen=True)
class Simulation:
    """How the lab plays a cloud.

    ``login`` writes what a login to the simulated account needs into a folder, and returns the environment variables
    that go with it. ``clear`` removes what is real behind the account's resources: servers, names. ``commands`` (name
    to Python module) are on PATH beside the plugin. ``hidden`` are environment variables that could reach a real
    account, kept from everything in the rehearsal; ``config`` is for keys that the copy of the stack file has
    otherwise than the stack: their value there, None where they are left out. ``servers`` is the folder, beside the
    accounts, of its database servers, where that is not the account's own; ``domains`` are what the DNS zones of their
    host names end with.
    """

    login: Callable[[Path], Mapping[str, str]]
    clear: Callable[[Account], None]
    commands: Mapping[str, str] = field(default_factory=dict[str, str])
    hidden: tuple[str, ...] = ()
    config: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    servers: str = ""
    domains: tuple[str, ...] = ()


def clouds() -> list[str]:
    """The clouds that can be rehearsed, found by their files."""
    return sorted(file.parent.name for file in PLUGINS.glob("*/simulation.py"))


def of_cloud(cloud: str) -> Simulation:
    """How that cloud is played; it must be one of `clouds()`."""
    simulation: Simulation = import_module(f"lab.plugins.{cloud}.simulation").SIMULATION
    return simulation
