"""The interface of every ``stacks/<cloud>.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from contract.platform import Connection, Platform
from contract.settings import Keys, Settings


class Cloud(Protocol):
    """A cloud that stacks run on. Each ``stacks/<cloud>.py`` is a module with these members."""

    @property
    def PlatformKeys(self) -> type[Keys]:
        """Config keys of a stack that provisions a platform."""
        ...

    @property
    def ReleaseStackKeys(self) -> type[Keys] | None:
        """Config keys of a release stack on another stack's platform; None if platforms cannot be shared."""
        ...

    def provision(self, settings: Settings[Any], /) -> Platform:
        """Declare cluster, registry and database."""
        ...

    def connect(self, settings: Settings[Any], access: Mapping[str, str], /) -> Connection:
        """Connect to the cluster and registry of another stack's platform through its ``access``."""
        ...
