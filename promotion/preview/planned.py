"""Plan an update: read what it would do from the engine's own preview."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from pulumi import automation
from pulumi.automation.events import EngineEvent
from pulumi.runtime.rpc import UNKNOWN

from contract.image import digest_of
from contract.update import LEAVE_PLATFORM
from promotion.errors import CommandError
from promotion.preview.steps import digest_of_steps, step_lines
from promotion.state.engine import error_lines, outputs, policies
from promotion.state.progress import NOT_EVALUATED
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import is_platform

#: First line of the update in the engine's diff; the refresh comes before it, as a step of the stack's own.
STACK_STEP = re.compile(r"\W*pulumi:pulumi:Stack: \((?!refresh\))")
#: Advice on an update that is the way back.
UPGRADES_NOTHING = (
    "this update returns to a version that ran before, so it upgrades neither Kubernetes nor the database; the next"
    " `up` does, if the stack file names a newer version"
)
Operation = Literal["create", "update", "replace", "delete"]
OPERATIONS: tuple[Operation, ...] = ("create", "update", "replace", "delete")

#: What users lose if a resource of this type (the last part of its token) is deleted or replaced. A cloud with other
#: types adds them here.
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
    """A resource that the update would change.

    ``properties`` are the paths that differ. ``platform``: it is part of the platform, not of the release.
    """

    operation: Operation
    type: str
    name: str
    properties: tuple[str, ...] = ()
    platform: bool = False

    @property
    def kind(self) -> str:
        """Last part of the type's token: ``Deployment`` for ``kubernetes:apps/v1:Deployment``."""
        return self.type.rpartition(":")[2]

    @property
    def loses(self) -> str | None:
        """What users lose, such as ``database``; None if the resource can be created again."""
        if self.operation not in ("replace", "delete") or self.type.startswith(("delivery:", "addressbook:")):
            return None
        return PRECIOUS.get(self.kind)


@dataclass(frozen=True)
class TrackState:
    """A track before or after the update.

    ``image`` is None if it is not built yet. ``settings`` are the names of those that differ in the canary's pods.
    ``revision`` is the commit of the image's source; "" if it is unknown.
    """

    image: str | None
    replicas: int
    share: float
    settings: tuple[str, ...] = ()
    revision: str = field(default="", compare=False)


@dataclass(frozen=True)
class ReleaseState:
    """The tracks by name; ``traffic`` is the config key that selects those behind the public Service."""

    tracks: Mapping[str, TrackState]
    traffic: str

    @classmethod
    def of(cls, outputs: Mapping[str, Any], configured: Mapping[str, str] | None = None) -> ReleaseState | None:
        """Read the release from stack outputs; return None if they have none.

        ``configured`` has the tracks' pinned images. They are shown while the registry does not exist yet: its name is
        unknown then, but the digest is not.
        """
        if "tracks" not in outputs:
            return None
        tracks = cast(Mapping[str, Mapping[str, Any]], outputs["tracks"])
        images = {name: _known(track["image"]) or (configured or {}).get(name) for name, track in tracks.items()}
        return cls(
            {
                name: TrackState(
                    images[name], int(track["replicas"]), float(track["share"]), tuple(track.get("settings", ()))
                )
                for name, track in tracks.items()
            },
            str(outputs["traffic"]),
        )


@dataclass(frozen=True)
class Plan:
    """Effects of an update of the stack; ``faults`` are the errors that keep it from starting.

    ``steps`` are the lines of the canonical list of its steps, and ``digest`` is their digest; "" if there are faults.
    ``earlier`` is the digest of an image that stable returns to, "" if it returns to none. ``goes_back``: the update is
    the way back to what ran before, and the program asks for no other versions of the platform than the running ones.
    """

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
    steps: tuple[str, ...] = ()
    digest: str = ""
    earlier: str = ""
    goes_back: bool = False

    def count(self, operation: Operation) -> int:
        """Return the number of resources with this operation."""
        return sum(change.operation == operation for change in self.changes)

    @property
    def losses(self) -> list[Change]:
        """Changes that delete or replace something that cannot be created again."""
        return [change for change in self.changes if change.loses]

    @property
    def platform_changes(self) -> list[Change]:
        """Changes of the platform."""
        return [change for change in self.changes if change.platform]

    @property
    def moves_release(self) -> bool:
        """Whether users get a new image: a canary comes, a pinned image changes, or all traffic goes to the canary.

        The way back is none: a canary that goes, or an image that ran before (``earlier``).
        """
        if self.before is None or self.after is None:
            return False
        old, new = self.before.tracks, self.after.tracks
        switched = self.after.traffic == "canary" != self.before.traffic
        return switched or any(
            name not in old or (track.image not in (None, old[name].image) and digest_of(track.image) != self.earlier)
            for name, track in new.items()
        )


class Preview:
    """Collect the engine's events. Pass ``event`` to the Automation API as ``on_event``."""

    def __init__(self) -> None:
        self._changes: dict[tuple[Operation, str], Change] = {}
        self._steps: dict[tuple[str, Operation], tuple[str, ...]] = {}
        self._outputs: Mapping[str, Any] = {}
        self._config: Mapping[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._forbidden: list[str] = []
        self._errors: list[str] = []
        self._advice: list[str] = []

    def event(self, event: EngineEvent) -> None:
        """Record one event."""
        if event.prelude_event:
            self._config = event.prelude_event.config
        elif event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            operation = _operation(metadata.op)
            if operation in OPERATIONS:
                change = Change(
                    operation,
                    metadata.type,
                    metadata.urn.rpartition("::")[2],
                    tuple(metadata.detailed_diff or ()),
                    is_platform(metadata.urn),
                )
                self._changes[operation, metadata.urn] = change
                self._steps[metadata.urn, operation] = step_lines(operation, metadata)
        elif event.res_outputs_event and event.res_outputs_event.metadata.type == "pulumi:pulumi:Stack":
            new = event.res_outputs_event.metadata.new
            self._outputs = (new.outputs if new else None) or {}
        elif event.policy_event:
            violation = event.policy_event
            where = violation.resource_urn.rpartition("::")[2] if violation.resource_urn else "the stack"
            message = f"{violation.policy_name}, {where}: {violation.message.strip()}"
            if NOT_EVALUATED not in message:
                (self._forbidden if violation.enforcement_level == "mandatory" else self._advice).append(message)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._errors.append(event.diagnostic_event.message.strip())
        elif event.summary_event:
            self._counts.update({_operation(kind): n for kind, n in event.summary_event.resource_changes.items()})

    def complete(self) -> None:
        """Forget the errors: the engine completed the preview in spite of them, as when a provider exits too early."""
        self._errors.clear()

    @property
    def faults(self) -> tuple[str, ...]:
        """Errors that keep the update from starting."""
        return (*self._forbidden, *self._errors)

    def plan(self, project: str, stack: str, outputs: Mapping[str, Any], diff: str) -> Plan:
        """Return the plan after the preview has ended; ``outputs`` are those of the last update."""
        steps = tuple(line for _, lines in sorted(self._steps.items()) for line in lines)
        return Plan(
            project=project,
            stack=stack,
            before=ReleaseState.of(outputs),
            after=ReleaseState.of(self._outputs, self._configured(project)),
            changes=tuple(sorted(self._changes.values(), key=_most_dangerous_first)),
            unchanged=self._counts["same"],
            verdict=self._config.get(f"{project}:canaryVerdict", ""),
            diff=diff,
            faults=self.faults,
            advice=tuple(self._advice),
            steps=steps,
            digest="" if self.faults else digest_of_steps(steps),
            earlier=self._config.get(f"{project}:migratedImage", ""),
        )

    def _configured(self, project: str) -> dict[str, str]:
        """Return the tracks' images that the config pins by digest."""
        images = {track: self._config.get(f"{project}:{track}Image", "") for track in ("stable", "canary")}
        return {track: image for track, image in images.items() if digest_of(image)}


def goes_back(config: Mapping[str, str], outputs: Mapping[str, Any]) -> bool:
    """Return whether an update to this config is the way back: the canary goes, or stable gets an earlier image.

    ``outputs`` are those of the last update. Only a cloud's own stack has versions of a platform to leave alone.
    """
    tracks = cast(Mapping[str, Mapping[str, Any]], outputs.get("tracks") or {})
    own_platform = config.get("cloud", "local") != "local" and not config.get("platformStack")
    has_canary = bool(config.get("canaryImage")) and config.get("canaryReplicas", "0") != "0"
    if not own_platform or has_canary or "stable" not in tracks:
        return False
    running, wanted = digest_of(str(tracks["stable"]["image"])), digest_of(config.get("stableImage", ""))
    if wanted == running:
        return "canary" in tracks
    return bool(wanted) and wanted == config.get("migratedImage")


def plan(
    stack: automation.Stack,
    *,
    refresh: bool = True,
    save: Path | None = None,
    config_file: Path | None = None,
    with_platform: bool = False,
) -> Plan:
    """Return what an update of the stack would do, or the errors that keep it from starting.

    ``refresh``: first refresh the preview's copy of the state, as `up` does, so that manual changes count. ``save``:
    also write the engine's own plan there, for `up`; it contains the stack's config and, encrypted, its secrets.
    ``config_file`` replaces the stack file. ``with_platform``: also the way back upgrades what the config names.
    Raises CommandError if the preview fails without such errors.
    """
    preview = Preview()
    before = outputs(stack)
    file = StackFile.of(stack.name)
    text = config_file.read_text(encoding="utf-8") if config_file else None
    back = not with_platform and goes_back(file.values(text), before)
    stack.workspace.env_vars = {LEAVE_PLATFORM: "true"} if back else {}
    diff = ""
    try:
        diff = stack.preview(
            diff=True,
            color="never",
            on_event=preview.event,
            refresh=refresh,
            plan=str(save) if save else None,
            config_file=str(config_file) if config_file else None,
            **policies(stack.name),
        ).stdout
        preview.complete()
    except automation.CommandError as error:
        if not preview.faults:
            raise CommandError(error_lines(error)) from None
    planned = preview.plan(stack.workspace.project_settings().name, stack.name, before, _resources(diff))
    return replace(planned, goes_back=True, advice=(*planned.advice, UPGRADES_NOTHING)) if back else planned


def _resources(diff: str) -> str:
    """Return the engine's diff without its heading, the steps of the refresh, and the counts at its end."""
    lines = diff.splitlines()
    begin = next((number for number, line in enumerate(lines, 1) if line.startswith("Previewing")), 0)
    begin = next((number for number, line in enumerate(lines) if STACK_STEP.match(line)), begin)
    end = next((number for number, line in enumerate(lines) if line.startswith("Resources:")), len(lines))
    return "\n".join(lines[begin:end]).strip("\n")


def _known(value: object) -> str | None:
    return None if value in (None, "", UNKNOWN) else str(value)


def _operation(operation: object) -> str:
    return str(getattr(operation, "value", operation))


def _most_dangerous_first(change: Change) -> tuple[int, str, str]:
    order: tuple[Operation, ...] = ("delete", "replace", "update", "create")
    return (0 if change.loses else 1 + order.index(change.operation), change.type, change.name)
