"""A trial of the canary: first what needs no traffic, then the users' requests, look by look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from kubernetes.client import V1Deployment, V1Pod

from promotion.errors import INCONCLUSIVE, WRONG_USE, CommandError
from promotion.state.cluster.cluster import Cluster, Track, UnreachableError, port_of, service_container
from promotion.verdict.comparison import Interval
from promotion.verdict.functional import ADDRESSBOOK_COMMANDS, command_checks, round_trip_check
from promotion.verdict.metrics import ADDRESSBOOK, METRICS_PATH, Ledger, NoMetrics, Reading, parse
from promotion.verdict.pods import PodState, PodWatch, now, readiness_check, restarts_check
from promotion.verdict.result import Check, Verdict, worst
from promotion.verdict.table import chart, progress
from promotion.verdict.traffic import ENDED_EARLY, not_tried, traffic_checks

Say = Callable[[str], None]

#: A trial is cut into this many intervals, of no less and no more than so many seconds.
INTERVALS = 30
SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 10.0
#: Seconds between two looks at pods that are not ready yet.
SETTLE_SECONDS = 2.0
#: Pods whose metrics are read at the same time.
READERS = 8

TRACKS: tuple[Track, Track] = ("canary", "stable")


def default_interval(duration_seconds: float) -> float:
    """Seconds between two looks."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, duration_seconds / INTERVALS))


@dataclass
class Trial:
    """One trial of the canary on a cluster; ``run`` it once."""

    cluster: Cluster
    duration: float
    say: Say
    every: float
    commands: Sequence[Sequence[str]] | None
    began: datetime = field(default_factory=now)
    intervals: list[Interval] = field(default_factory=list[Interval])

    def __post_init__(self) -> None:
        self.looks = max(1, round(self.duration / self.every))
        self.every = self.duration / self.looks
        self.watches = {track: PodWatch() for track in TRACKS}
        self.ledgers = {track: Ledger() for track in TRACKS}
        self.unread: dict[Track, str] = {}
        self.addressbook = False

    def run(self) -> Verdict:
        """Try it. Raises CommandError as ``judge`` does."""
        try:
            self.images = {track: image_of(self._deployment(track)) for track in TRACKS}
            lost = self._settle()
            functional = [] if lost else self._functional()
        except UnreachableError as error:
            raise CommandError(f"the canary cannot be judged: {error}", INCONCLUSIVE) from None
        if lost or worst([*self._pod_checks(), *functional]) == "unhealthy":
            self.say("the canary is lost before it has met a user: the trial is over")
            return self._verdict(functional, not_tried(ENDED_EARLY))
        return self._verdict(functional, self._watch_traffic())

    def _settle(self) -> bool:
        """Wait for the canary's pods while its rollout may still succeed; says whether it is lost."""
        deployment = self._deployment("canary")
        deadline = time.monotonic() + float(cast(Any, deployment).spec.progress_deadline_seconds or 600)
        said = ""
        while True:
            pods = {track: self._states(track) for track in TRACKS}
            wanted = {track: replicas(self._deployment(track)) for track in TRACKS}
            ready = sum(pod.ready for pod in pods["canary"])
            lost = [pod for pod in pods["canary"] if pod.hopeless]
            over = time.monotonic() >= deadline or given_up(self._deployment("canary"))
            if ready >= wanted["canary"] or lost or over:
                since = min((pod.created for pod in pods["canary"]), default=self.began)
                for track in TRACKS:
                    self.watches[track].look(pods[track], wanted[track], since if track == "stable" else None)
                if ready < wanted["canary"] and not lost:
                    watch = self.watches["canary"]
                    watch.hopeless = watch.trouble or f"{ready} of {wanted['canary']} pods became ready in time"
                return ready < wanted["canary"]
            if said != (said := f"waiting for the canary's pods: {ready} of {wanted['canary']} ready"):
                self.say(said)
            time.sleep(SETTLE_SECONDS)

    def _functional(self) -> list[Check]:
        """Commands and round trip; before the first reading of the metrics, so that it counts users' requests only."""
        for track in TRACKS:
            self._readings(track)  # tell whether it is the addressbook
        commands = self.commands if self.commands is not None else ADDRESSBOOK_COMMANDS if self.addressbook else ()
        ready: dict[Track, V1Pod] = {}
        for track in TRACKS:
            pods = [pod for pod in self.cluster.current_pods(track) if PodState.of(pod).ready]
            if pods:
                ready[track] = pods[0]
        checks = command_checks(self.cluster, ready, commands)
        checks += [round_trip_check(self.cluster)] if self.addressbook else []
        for check in checks:
            self.say(f"{check.name}: {check.value}")
        return checks

    def _watch_traffic(self) -> list[Check]:
        begin = time.monotonic()
        self._read()
        checks = not_tried(ENDED_EARLY)
        for look in range(1, self.looks + 1):
            time.sleep(max(0.0, begin + look * self.every - time.monotonic()))
            try:
                added = self._read()
                self._look_at_pods()
            except UnreachableError as error:  # what was counted meanwhile is in the next reading
                self.unread["canary"], added = str(error), None
            if added is not None:
                self.intervals.append(added)
                self.say(progress(look * self.every, self.duration, added))
            else:
                self.say(f"metrics unreachable: {self._why_unread()}")
            checks = traffic_checks(self.intervals, look, self.looks)
            if worst([*self._pod_checks(), *checks]) == "unhealthy":
                break
        if not self.unread:
            return checks
        why = f"metrics unreachable: {self._why_unread()}"
        return [replace(check, reason=why) if check.result == "inconclusive" else check for check in checks]

    def _why_unread(self) -> str:
        return "; ".join(sorted(set(self.unread.values())))

    def _read(self) -> Interval | None:
        """What both tracks added since the last reading; None where one could not be read at all."""
        readings = {track: self._readings(track) for track in TRACKS}
        if self.unread:
            return None
        return Interval(self.ledgers["canary"].add(readings["canary"]), self.ledgers["stable"].add(readings["stable"]))

    def _readings(self, track: Track) -> list[Reading]:
        """The counters of the track's pods, side by side; a track of which none can be read is noted as unread."""
        pods = [pod for pod in self.cluster.current_pods(track) if PodState.of(pod).running]
        with ThreadPoolExecutor(READERS) as readers:
            found = list(readers.map(self._reading, pods))
        if any(reading.counters for reading, _ in found):
            self.unread.pop(track, None)
        else:
            self.unread[track] = next((why for _, why in found), f"no pod of {track} runs")
        return [reading for reading, _ in found]

    def _reading(self, pod: V1Pod) -> tuple[Reading, str]:
        """The pod's counters, or why there are none."""
        state = PodState.of(pod)
        process = f"{state.uid}/{state.restarts}"
        port = port_of(pod, "metrics")
        if port is None:
            return Reading(process, None), "the service has no metrics port (config key metricsPort)"
        try:
            with self.cluster.forward(pod, port) as connection:
                connection.request("GET", METRICS_PATH)
                text = connection.getresponse().read().decode(errors="replace")
            counters = parse(text, probe_paths(pod))
        except UnreachableError as error:
            return Reading(process, None), str(error)
        except NoMetrics as error:
            return Reading(process, None), f"pod {state.name}, {METRICS_PATH}: {error}"
        self.addressbook |= ADDRESSBOOK in text
        return Reading(process, counters), ""

    def _look_at_pods(self) -> None:
        for track in TRACKS:
            deployment = self._deployment(track)
            if image_of(deployment) != self.images[track]:
                raise CommandError(f"{track}'s image was changed during the trial: start another one", WRONG_USE)
            self.watches[track].look(self._states(track), replicas(deployment))

    def _pod_checks(self) -> list[Check]:
        canary, stable = self.watches["canary"], self.watches["stable"]
        return [readiness_check(canary, stable, self.looks), restarts_check(canary, stable)]

    def _verdict(self, functional: Sequence[Check], traffic: Sequence[Check]) -> Verdict:
        checks = [*self._pod_checks(), *functional, *traffic]
        digest = self.images["canary"].rpartition("@")[2]  # the program pins every image by it
        return Verdict(worst(checks), digest, checks, self.began, now(), chart(self.intervals))

    def _states(self, track: Track) -> list[PodState]:
        return [PodState.of(pod) for pod in self.cluster.current_pods(track)]

    def _deployment(self, track: Track) -> V1Deployment:
        deployment = self.cluster.deployment(track)
        if deployment is None or not replicas(deployment):
            what = "there is no canary to judge: `python -m promotion canary` puts one on trial"
            raise CommandError(
                what if track == "canary" else "there is no stable to hold the canary against", WRONG_USE
            )
        return deployment


def image_of(deployment: V1Deployment) -> str:
    """The image that the Deployment runs."""
    return str(cast(Any, deployment).spec.template.spec.containers[0].image)


def replicas(deployment: V1Deployment) -> int:
    """Pods that the Deployment wants."""
    return int(cast(Any, deployment).spec.replicas or 0)


def given_up(deployment: V1Deployment) -> bool:
    """Whether Kubernetes says that the rollout is past its deadline."""
    conditions = cast(list[Any], cast(Any, deployment).status.conditions or [])
    return any(each.type == "Progressing" and each.status == "False" for each in conditions)


def probe_paths(pod: V1Pod) -> set[str]:
    """Paths that the kubelet asks for; they are nobody's requests."""
    container = service_container(pod)
    probes = (container.readiness_probe, container.liveness_probe, container.startup_probe)
    return {probe.http_get.path for probe in probes if probe and probe.http_get and probe.http_get.path}
