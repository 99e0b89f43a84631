"""The interface of a provider plugin: hooks with defaults, and the values they take and return."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.plugins.difference import Difference, difference
from lab.plugins.engine import Engine
from lab.plugins.properties import Properties


class ProviderError(Exception):
    """The operation failed and changed nothing. The message is for the user."""


class InitializationFailed(ProviderError):
    """The resource exists but is not as declared yet. The engine stores it and repairs it in the next update."""

    def __init__(self, id: str, outputs: Properties, reasons: Sequence[str], inputs: Properties | None = None) -> None:
        super().__init__("; ".join(reasons))
        self.id = id
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Resource:
    """The resource that a hook is called for.

    ``timeout`` is that of `customTimeouts` in seconds, 0 if unset. ``ignored`` are the property paths of
    `ignoreChanges`. The others are for `check`: ``random_seed`` makes a preview and its update draw the same name;
    ``proposed_name`` and ``must_be_named`` come from the stack's autonaming configuration.
    """

    urn: str
    type: str
    name: str
    id: str = ""
    preview: bool = False
    timeout: float = 0.0
    ignored: tuple[str, ...] = ()
    random_seed: bytes = b""
    proposed_name: str = ""
    must_be_named: bool = False


@dataclass(frozen=True)
class Failure:
    """An invalid input: the property's path, and the problem."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """Inputs with their defaults, and their errors."""

    inputs: Properties
    failures: Sequence[Failure] = field(default_factory=list[Failure])


@dataclass(frozen=True)
class Created:
    """A new resource. In a preview it has no id, and unknown outputs are `UNKNOWN` or left out."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Read:
    """A resource's current state. ``inputs`` are those that a program would declare to get it."""

    id: str
    outputs: Properties
    inputs: Properties


class Provider:
    """A provider. The engine may call every hook from several threads at once.

    A secret input is a `Secret`; the servicer makes the output of the same name secret as well. Every hook may raise
    ProviderError.
    """

    name: str = ""
    version: str = ""
    supports_autonaming: bool = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.configuration: Properties = {}
        self.cancelled = threading.Event()
        """Set when the engine wants the plugin to end. A hook that waits must watch it."""

    def schema(self) -> str:
        """Return the package's schema as JSON. `pulumi import` asks for it."""
        return json.dumps({"name": self.name, "version": self.version})

    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        """Check the provider's own inputs."""
        del old
        return Checked(new)

    def diff_configuration(self, old: Properties, new: Properties) -> Difference:
        """Compare the provider's own inputs. Replacing the provider replaces all its resources."""
        return difference(old, new, ignore=["version"])

    def configure(self, configuration: Properties) -> None:
        """Take the provider's own inputs, with secrets opened."""
        self.configuration = configuration

    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        """Validate the inputs and add defaults. `old` are the last inputs, empty for a new resource."""
        del resource, old
        return Checked(new)

    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        """Compare the last inputs and outputs with the new inputs."""
        del resource, old_outputs
        return difference(old_inputs, new)

    def create(self, resource: Resource, inputs: Properties) -> Created:
        """Create the resource, or with `resource.preview` predict its outputs."""
        raise NotImplementedError

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        """Read the resource; None if it does not exist. In an import, `inputs` and `outputs` are empty."""
        raise NotImplementedError

    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        """Update the resource and return the new outputs."""
        raise NotImplementedError

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Delete the resource, if it still exists."""
        raise NotImplementedError

    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        """Call a function of the provider."""
        del arguments, preview
        raise ProviderError(f"The lab's stand-in for {self.name} has no function {function}.")

    def cancel(self) -> None:
        """Stop all operations and child processes. Called when the engine cancels them, and when it ends."""
