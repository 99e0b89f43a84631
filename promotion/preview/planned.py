"""What an update would do, gathered from the engine's own preview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pulumi import automation
from pulumi.automation.events import EngineEvent
from pulumi.runtime.rpc import UNKNOWN

from promotion.errors import CommandError
from promotion.state.engine import error_lines, outputs, policies
from promotion.state.progress import NOT_EVALUATED

Operation = Literal["create", "update", "replace", "delete"]
OPERATIONS: tuple[Operation, ...] = ("create", "update", "replace", "delete")

#: What is lost or interrupted when a resource of that type (the last part of its token) is deleted or replaced. A cloud
#: whose types have other names adds them here.
PRECIOUS: Mapping[str, str] = {
    "Cluster": "cluster",
    "KubernetesCluster": "cluster",
    "DatabaseCluster": "database",
    "DatabaseInstance": "database",
    "Instance": "database",
    "Database": "database",
    "DatabaseDb": "database",
    "PersistentVolumeClaim": "database volume",
    "ContainerRegistry": "registry",
    "Repository": "registry",
    "Namespace": "namespace",
}


@dataclass(frozen=True)
class Change:
    """A resource that the update would change; ``properties`` are the paths that differ."""

    operation: Operation
    type: str
    name: str
    properties: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Last part of the type's token, ``Deployment`` of ``kubernetes:apps/v1:Deployment``."""
        return self.type.rpartition(":")[2]

    @property
    def loses(self) -> str | None:
        """What is lost with it, such as ``database``; None where it can be made anew."""
        destroyed = self.operation in ("replace", "delete")
        return (
            PRECIOUS.get(self.kind) if destroyed and not self.type.startswith(("delivery:", "addressbook:")) else None
        )


@dataclass(frozen=True)
class TrackState:
    """A track as it runs or would run.

    ``image`` is None where it is not known before it is built; ``revision`` is the source that it was built from, "" as
    long as nobody has asked.
    """

    image: str | None
    replicas: int
    share: float
    revision: str = field(default="", compare=False)


@dataclass(frozen=True)
class ReleaseState:
    """The tracks by name, and which of them the public Service selects."""

    tracks: Mapping[str, TrackState]
    traffic: str

    @classmethod
    def of(cls, outputs: Mapping[str, Any], configured: Mapping[str, str] | None = None) -> ReleaseState | None:
        """Read from stack outputs; None where there is no release in them.

        ``configured`` are the tracks' pinned images: a preview does not know yet how a registry will be called that is
        still to be made, but the digest is the same there.
        """
        if "tracks" not in outputs:
            return None
        tracks = cast(Mapping[str, Mapping[str, Any]], outputs["tracks"])
        images = {name: _known(track["image"]) or (configured or {}).get(name) for name, track in tracks.items()}
        return cls(
            {
                name: TrackState(images[name], int(track["replicas"]), float(track["share"]))
                for name, track in tracks.items()
            },
            str(outputs["traffic"]),
        )


@dataclass(frozen=True)
class Plan:
    """What an update of the stack would do; ``faults`` says why it would not even begin."""

    project: str
    stack: str
    before: ReleaseState | None
    after: ReleaseState | None
    changes: tuple[Change, ...]
    unchanged: int
    verdict: str
    diff: str
    faults: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def count(self, operation: Operation) -> int:
        """Resources to which that would happen."""
        return sum(change.operation == operation for change in self.changes)

    @property
    def losses(self) -> list[Change]:
        """Changes that delete or replace something that can't be made anew."""
        return [change for change in self.changes if change.loses]


class Preview:
    """Gathers the engine's events; give ``event`` to the Automation API as ``on_event``."""

    def __init__(self) -> None:
        self._changes: dict[tuple[Operation, str], Change] = {}
        self._outputs: Mapping[str, Any] = {}
        self._config: Mapping[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._faults: list[str] = []
        self._advice: list[str] = []

    def event(self, event: EngineEvent) -> None:
        """Take in one event."""
        if event.prelude_event:
            self._config = event.prelude_event.config
        elif event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            operation = _word(metadata.op)
            if operation in OPERATIONS:
                change = Change(
                    operation, metadata.type, metadata.urn.rpartition("::")[2], tuple(metadata.detailed_diff or ())
                )
                self._changes[operation, metadata.urn] = change
        elif event.res_outputs_event and event.res_outputs_event.metadata.type == "pulumi:pulumi:Stack":
            new = event.res_outputs_event.metadata.new
            self._outputs = (new.outputs if new else None) or {}
        elif event.policy_event:
            violation = event.policy_event
            where = violation.resource_urn.rpartition("::")[2] if violation.resource_urn else "the stack"
            said = f"{violation.policy_name}, {where}: {violation.message.strip()}"
            if NOT_EVALUATED not in said:
                (self._faults if violation.enforcement_level == "mandatory" else self._advice).append(said)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._faults.append(event.diagnostic_event.message.strip())
        elif event.summary_event:
            self._counts.update({_word(kind): n for kind, n in event.summary_event.resource_changes.items()})

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the update could not begin."""
        return tuple(self._faults)

    def plan(self, project: str, stack: str, outputs: Mapping[str, Any], diff: str) -> Plan:
        """The plan, when the preview has ended; ``outputs`` are those of the last update."""
        return Plan(
            project=project,
            stack=stack,
            before=ReleaseState.of(outputs),
            after=ReleaseState.of(self._outputs, self._configured(project)),
            changes=tuple(sorted(self._changes.values(), key=_gravest_first)),
            unchanged=self._counts["same"],
            verdict=self._config.get(f"{project}:canaryVerdict", ""),
            diff=diff,
            faults=self.faults,
            advice=tuple(self._advice),
        )

    def _configured(self, project: str) -> dict[str, str]:
        """Images that the config pins the tracks to."""
        images = {track: self._config.get(f"{project}:{track}Image", "") for track in ("stable", "canary")}
        return {track: image for track, image in images.items() if "@" in image}


def plan(stack: automation.Stack) -> Plan:
    """What an update of the stack would do, or why it could not begin.

    Raises CommandError when the engine tells neither.
    """
    preview = Preview()
    before = outputs(stack)
    diff = ""
    try:
        diff = stack.preview(diff=True, color="never", on_event=preview.event, **policies(stack.name)).stdout
    except automation.CommandError as error:
        if not preview.faults:
            raise CommandError(error_lines(error)) from None
    return preview.plan(stack.workspace.project_settings().name, stack.name, before, _resources(diff))


def _resources(diff: str) -> str:
    """The engine's text less its first line, which says that it is a preview, and the counts at its end."""
    lines = diff.splitlines()
    begin = next((number for number, line in enumerate(lines, 1) if line.startswith("Previewing")), 0)
    end = next((number for number, line in enumerate(lines) if line.startswith("Resources:")), len(lines))
    return "\n".join(lines[begin:end]).strip("\n")


def _known(value: object) -> str | None:
    return None if value in (None, "", UNKNOWN) else str(value)


def _word(operation: object) -> str:
    return str(getattr(operation, "value", operation))


def _gravest_first(change: Change) -> tuple[int, str, str]:
    order: tuple[Operation, ...] = ("delete", "replace", "update", "create")
    return (0 if change.loses else 1 + order.index(change.operation), change.type, change.name)
