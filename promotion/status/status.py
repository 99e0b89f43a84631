"""The status of a release: its tracks, their traffic and health, and the drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pulumi import automation

from contract.image import short
from promotion.errors import CommandError
from promotion.state import engine, history
from promotion.state.cluster.cluster import Cluster
from promotion.state.history import Update
from promotion.state.locks import checkout_lock_holder
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import DeployedTrack, StackState, outputs_of
from promotion.state.verdict_record import VerdictRecord
from promotion.status.drift import Drift, cluster_drift, config_drift, git_drift, kept_image, unpinned
from promotion.status.live import LiveTrack, Meter, live_tracks

#: Number of updates to search for the last deployment and the last verdict.
NEWEST = 20


@dataclass(frozen=True)
class Status:
    """The status of a stack.

    ``state`` is what the engine knows. ``live`` is None if the cluster did not answer; ``unreachable`` says why.
    ``window`` is the number of seconds that errors and latency cover, None for the time since the pods started.
    ``uncompared`` says why Git and the stack file could not be compared, "" if they were.
    """

    stack: str
    outputs: Mapping[str, Any]
    state: StackState
    live: Mapping[str, LiveTrack] | None
    unreachable: str
    window: float | None
    verdict: VerdictRecord | None
    last: Update | None
    at_work: str
    drift: Sequence[Drift] = field(default_factory=tuple[Drift, ...])
    unpinned: Sequence[str] = ()
    uncompared: str = ""
    taken: datetime = field(default_factory=lambda: datetime.now(UTC))


class Observer:
    """Read one stack's status, once or repeatedly.

    ``ignore_image``: another image of stable in the stack file is no drift.
    """

    def __init__(self, stack: automation.Stack, file: StackFile, meter: Meter, *, ignore_image: bool = False) -> None:
        self._stack = stack
        self._file = file
        self._meter = meter
        self._ignored = ("stableImage",) if ignore_image else ()
        self._cluster: Cluster | None = None
        self._looked: datetime | None = None

    @property
    def cluster(self) -> Cluster | None:
        """The stack's cluster; None before the first look, and while the cluster does not answer."""
        return self._cluster

    def look(self) -> Status:
        """Return the stack's current status. Raises CommandError if it runs nothing or its state cannot be read."""
        name = self._stack.name
        state = engine.exported(self._stack)
        if not state.get("resources"):
            raise CommandError(f"stack `{name}` runs nothing: `python -m promotion up --stack {name}` starts it")
        outputs = outputs_of(state)
        updates = history.updates(self._stack, NEWEST)
        last = next((each for each in updates if each.kind == "update"), None)
        kept = kept_image(self._file, last) if self._ignored else ""
        drift = config_drift(self._file, last, name, self._ignored, kept)
        uncompared = ""
        try:
            drift = [*git_drift(self._file), *drift]
        except CommandError as error:  # Git says nothing about what runs
            uncompared = str(error)
        taken = datetime.now(UTC)
        window = None if self._meter.lifetime or not self._looked else (taken - self._looked).total_seconds()
        self._looked = taken
        live: dict[str, LiveTrack] | None = None
        unreachable = ""
        try:
            self._cluster = self._cluster or Cluster.of(self._stack, outputs_of(state, secrets=True))
            live = {**live_tracks(self._cluster, self._meter, _weights(outputs))}
            drift += cluster_drift(self._cluster, state, name, kept)
        except CommandError as error:
            unreachable, self._cluster = str(error), None
        values = self._file.values()
        return Status(
            name,
            outputs,
            StackState.of(state),
            live,
            unreachable,
            window,
            _last_verdict(values.get("canaryVerdict", ""), updates),
            last,
            checkout_lock_holder(name),
            drift,
            unpinned(values),
            uncompared,
            taken,
        )


def _weights(outputs: Mapping[str, Any]) -> dict[str, float]:
    """Return each track's share by the Gateway's weight; {} if the users are shared by pods."""
    if outputs.get("sharedBy") != "weight":
        return {}
    return {name: float(track["share"]) for name, track in outputs.get("tracks", {}).items()}


def _last_verdict(in_file: str, updates: Sequence[Update]) -> VerdictRecord | None:
    texts = (in_file, *(update.config.get("canaryVerdict", "") for update in updates))
    return next(filter(None, map(VerdictRecord.parse, texts)), None)


def missing(status: Status) -> list[str]:
    """Return a sentence for each reason why the deployed tracks are not ready; none if they are."""
    if status.live is None:
        return [f"the cluster cannot be reached: {status.unreachable}"]
    if not status.state.tracks:
        return ["no track is deployed yet"]
    reasons: list[str] = []
    for name, deployed in status.state.tracks.items():
        live = status.live.get(name)
        if live is None:
            reasons.append(f"{name} has no Deployment")
        elif live.digest != deployed.digest:
            reasons.append(f"{name} runs {short(live.image)} instead of {short(deployed.image)}")
        elif live.ready < deployed.replicas:
            reasons.append(f"{name} has {live.ready} of {deployed.replicas} pods ready")
    return reasons


def status_json(status: Status) -> dict[str, Any]:
    """Return the status for scripts."""
    running: Mapping[str, LiveTrack | DeployedTrack] = status.live if status.live is not None else status.state.tracks
    tracks = {name: {"digest": track.digest, **asdict(track)} for name, track in running.items()}
    last = status.last
    return {
        "stack": status.stack,
        "time": status.taken.isoformat(timespec="seconds"),
        "url": status.outputs.get("url"),
        "namespace": status.outputs.get("namespace"),
        "traffic": status.outputs.get("traffic"),
        "sharedBy": status.outputs.get("sharedBy", "pods"),
        "ready": not missing(status),
        "missing": missing(status),
        "cluster": {"reachable": status.live is not None, "reason": status.unreachable},
        "tracks": tracks,
        "canarySettings": status.outputs.get("tracks", {}).get("canary", {}).get("settings", []),
        "servedSeconds": status.window,
        "verdict": asdict(status.verdict) if status.verdict else None,
        "lastUpdate": {
            "time": last.time.isoformat(timespec="seconds"),
            "message": last.message,
            "result": last.result,
            "commit": last.commit,
        }
        if last
        else None,
        "atWork": status.at_work or None,
        "interrupted": list(status.state.interrupted),
        "unpinned": list(status.unpinned),
        "drift": [asdict(each) for each in status.drift],
        "uncompared": status.uncompared or None,
    }
