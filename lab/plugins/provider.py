"""What a provider plugin stand-in is: hooks with sensible defaults, and the values they take and give."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.plugins.difference import Difference, difference
from lab.plugins.engine import Engine
from lab.plugins.properties import Properties


class ProviderError(Exception):
    """What went wrong, in one sentence to the person who can mend it. Nothing was created or changed."""


class InitializationFailed(ProviderError):
    """The resource exists but isn't what was asked for (yet): the engine stores it and repairs it the next time."""

    def __init__(self, id: str, outputs: Properties, reasons: Sequence[str], inputs: Properties | None = None) -> None:
        super().__init__("; ".join(reasons))
        self.id = id
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Resource:
    """Which resource a hook is about, and how it is to be handled."""

    urn: str
    type: str
    name: str
    id: str = ""
    preview: bool = False
    timeout: float = 0.0
    """What `customTimeouts` allows, in seconds; 0 if the provider is to choose."""
    ignored: tuple[str, ...] = ()
    """Property paths of `ignoreChanges`: for a diff and an update."""
    random_seed: bytes = b""
    """What a check draws a random name from, so that preview and update come to the same one."""
    proposed_name: str = ""
    """For a check: the name that the stack's autonaming configuration asks for."""
    must_be_named: bool = False
    """For a check: the stack's autonaming configuration forbids made-up names."""


@dataclass(frozen=True)
class Failure:
    """An input that can't be: the property's path and one sentence."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """Inputs with their defaults, and what is wrong with them."""

    inputs: Properties
    failures: Sequence[Failure] = field(default_factory=list[Failure])


@dataclass(frozen=True)
class Created:
    """A new resource. In a preview: no id, and outputs that aren't known yet as `UNKNOWN` (or left out)."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Read:
    """A resource as it is now; `inputs` are those a program would have to declare to get it."""

    id: str
    outputs: Properties
    inputs: Properties


class Provider:
    """A provider. Every hook may be called from several threads at once.

    Values secret in the inputs come as `Secret` and become secret again in outputs of the same name by themselves.
    """

    name: str = ""
    version: str = ""
    supports_autonaming: bool = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.configuration: Properties = {}
        self.cancelled = threading.Event()
        """Set once the engine wants the plugin to end: whatever waits should wait on this too."""

    def schema(self) -> str:
        """The package's schema as JSON text."""
        return json.dumps({"name": self.name, "version": self.version})

    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        """Check the provider's own inputs."""
        del old
        return Checked(new)

    def diff_configuration(self, old: Properties, new: Properties) -> Difference:
        """Compare the provider's own inputs; a replacement of the provider replaces all that it made."""
        return difference(old, new, ignore=["version"])

    def configure(self, configuration: Properties) -> None:
        """Take the provider's own inputs, secrets laid open."""
        self.configuration = configuration

    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        """Validate inputs and fill in defaults. `old` are the last inputs, empty for a new resource."""
        del resource, old
        return Checked(new)

    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        """Compare the last inputs (and outputs) with the new inputs."""
        del resource, old_outputs
        return difference(old_inputs, new)

    def create(self, resource: Resource, inputs: Properties) -> Created:
        """Make it, or with `resource.preview` say what could be said without making it."""
        del inputs
        raise ProviderError(f"{self.name}: this stand-in does not make {resource.type}.")

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        """Look at it; None if it is gone. For an import `inputs` and `outputs` are empty."""
        del inputs, outputs
        raise ProviderError(f"{self.name}: this stand-in does not read {resource.type} ({resource.id}).")

    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        """Change it; the new outputs."""
        del old_inputs, old_outputs, new
        raise ProviderError(f"{self.name}: this stand-in does not update {resource.type} ({resource.id}).")

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Remove it; it being gone already is no error."""
        del inputs, outputs
        raise ProviderError(f"{self.name}: this stand-in does not delete {resource.type} ({resource.id}).")

    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        """Answer a function call."""
        del arguments, preview
        raise ProviderError(f"{self.name}: this stand-in has no function {function}.")

    def cancel(self) -> None:
        """Stop whatever is under way, child processes included; called when the engine ends, too."""
