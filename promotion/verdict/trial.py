"""A trial of the canary: first the checks that need no traffic, then the users' requests, look by look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from contract.settings import VerdictKeys
from promotion.errors import INCONCLUSIVE, WRONG_USE, CommandError
from promotion.state.cluster.cluster import TRACKS, Cluster, Track, UnreachableError
from promotion.state.cluster.counters import Counters
from promotion.state.cluster.gateway import has_track_backends
from promotion.state.cluster.pods import Deployment, Pod
from promotion.state.prometheus import prometheus_at
from promotion.verdict.comparison import MIN_INTERVALS, chance_at
from promotion.verdict.functional import command_checks, request_check
from promotion.verdict.observation import Observation, Phase, TrackSeen
from promotion.verdict.pods import KILLED, PodWatch, is_hopeless, readiness_check, restarts_check
from promotion.verdict.query_checks import QueryChecks
from promotion.verdict.result import Check, Verdict, worst
from promotion.verdict.routes import routes_check, skipped_checks, why_incomparable
from promotion.verdict.samples import Interval, Samples
from promotion.verdict.sources import FirstSource
from promotion.verdict.table import chart, progress
from promotion.verdict.traffic import ENDED_EARLY, bad_pods, comparisons, traffic_checks

#: A trial is cut into this many intervals, each of at least and at most so many seconds.
INTERVALS = 30
SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 10.0
#: Seconds between two looks at pods that are not ready yet.
SETTLE_SECONDS = 2.0
#: The canary gets too few requests if it gets less than this part of its share.
SHARE_PART = 0.5
#: Without metrics, at most this part of the looks may miss the pods.
MISSED_PART = 0.1
#: Minimum requests of both tracks that show whether the canary gets its share.
SHARE_MINIMUM = 200


def default_interval(duration_seconds: float) -> float:
    """Return the seconds between two looks."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, duration_seconds / INTERVALS))


@dataclass
class Trial:
    """One trial of the canary on a cluster; ``run`` it once."""

    cluster: Cluster
    duration: float
    observe: Callable[[Observation], None]
    every: float
    commands: Sequence[Sequence[str]]
    keys: VerdictKeys = field(default_factory=VerdictKeys)
    began: datetime = field(default_factory=lambda: _now())
    intervals: list[Interval] = field(default_factory=list[Interval])

    def __post_init__(self) -> None:
        self.looks = max(1, round(self.duration / self.every))
        self.every = self.duration / self.looks
        self.watches = {track: PodWatch() for track in TRACKS}
        where, token = self.keys.prometheus, self.keys.prometheus_token
        prometheus = prometheus_at(where, token, self.cluster) if where else None
        self.requests = FirstSource.of(self.cluster, self.keys, prometheus)
        self.queries = QueryChecks(self.keys.checks, prometheus, self.cluster, self.duration)
        self.warm_since: dict[str, float] = {}
        self.notes: list[str] = []
        self.phase: Phase = "starting"
        self.seconds = 0.0
        self.running: dict[Track, Sequence[Pod]] = {}
        self.functional: Sequence[Check] = ()
        self.traffic: list[Check] = []

    def run(self) -> Verdict:
        """Try the canary. Raises CommandError as ``judge`` does."""
        try:
            self.images = {track: self._deployment(track).image for track in TRACKS}
            self.shares_by_pods = self._shares_by_pods()
            is_up = self._wait_until_up()
            functional = self._functional_checks() if is_up else []
            if is_up and worst([*self._pod_checks(), *functional]) != "unhealthy":
                self._warm_up()
        except UnreachableError as error:
            raise CommandError(f"the canary cannot be judged: {error}", INCONCLUSIVE) from None
        if not is_up or worst([*self._pod_checks(), *functional]) == "unhealthy":
            self._tell("the canary failed before it met a user: the trial is over")
            skipped = [*skipped_checks(self.keys, ENDED_EARLY), *self.queries.skipped(ENDED_EARLY)]
            return self._verdict(functional, skipped)
        watched = self._watch_pods() if self.keys.verdict == "functional" else self._watch_traffic()
        return self._verdict(functional, watched)

    def _wait_until_up(self) -> bool:
        """Wait for the canary's pods as long as the rollout may still succeed; return whether all are ready."""
        deadline = time.monotonic() + self._deployment("canary").deadline_seconds
        shown = ""
        while True:
            pods = self._pods()
            wanted = {track: self._deployment(track).replicas for track in TRACKS}
            for track in TRACKS:
                self.watches[track].wanted = wanted[track]
            ready = sum(pod.ready for pod in pods["canary"])
            is_up = ready >= wanted["canary"]
            hopeless = any(is_hopeless(pod) for pod in pods["canary"])
            if is_up or hopeless or time.monotonic() >= deadline or self._deployment("canary").past_deadline:
                since = min((pod.created for pod in pods["canary"]), default=self.began)
                for track in TRACKS:
                    self._look(track, pods[track], wanted[track], since if track == "stable" else None)
                if not is_up and not hopeless:
                    watch = self.watches["canary"]
                    watch.hopeless = watch.trouble or f"{ready} of {wanted['canary']} pods became ready in time"
                return is_up
            line = f"waiting for the canary's pods: {ready} of {wanted['canary']} ready"
            if line != shown:
                self._tell(line)
                shown = line
            time.sleep(SETTLE_SECONDS)

    def _functional_checks(self) -> list[Check]:
        """Run test commands and requests before the metrics are first read, so that only users' requests count."""
        running = self._pods()
        ready: dict[Track, Pod] = {}
        for track in TRACKS:
            if pods := [pod for pod in running[track] if pod.ready]:
                ready[track] = pods[0]
        checks = command_checks(self.cluster, ready, self.commands)
        if self.keys.test_requests:
            checks.append(request_check(self.cluster, self.keys.test_requests))
        self.phase, self.functional = "testing", checks
        for check in checks:
            self._tell(f"{check.name}: {check.value}")
        return checks

    def _warm_up(self) -> None:
        """Wait until every pod has been ready for as long as the warm-up, so that the trial counts all of them."""
        deadline = time.monotonic() + self.keys.warm_up_seconds
        announced, self.phase = False, "warming up"
        while cold := self._cold_processes(self._pods()):
            left = min(max(cold.values()), deadline - time.monotonic())
            if left <= 0:
                return
            if not announced:
                self._tell(f"warming up: requests of the first {self.keys.warm_up_seconds} s of a pod do not count")
                announced = True
            time.sleep(min(left, SETTLE_SECONDS))
            self._look_at_pods()
            if worst(self._pod_checks()) == "unhealthy":
                return

    def _pods(self) -> Mapping[Track, Sequence[Pod]]:
        self.running = {track: self.cluster.current_pods(track) for track in TRACKS}
        return self.running

    def _cold_processes(self, pods: Mapping[Track, Sequence[Pod]]) -> dict[str, float]:
        """Return the processes of ready pods that are still warming up, and their seconds left."""
        left: dict[str, float] = {}
        for pod in (pod for track in TRACKS for pod in pods[track]):
            if since := pod.ready_since:
                age = (datetime.now(UTC) - since).total_seconds()
                age = min(max(age, 0.0), self.keys.warm_up_seconds)  # this machine's clock may be wrong
                warm = self.warm_since.setdefault(pod.process, time.monotonic() + self.keys.warm_up_seconds - age)
                if warm > time.monotonic():
                    left[pod.process] = warm - time.monotonic()
        return left

    def _watch_pods(self) -> list[Check]:
        """Watch whether the canary's pods stay up; return the checks by query, and none of requests.

        Raises CommandError (INCONCLUSIVE) if the pods could not be seen at the end, or too often.
        """
        begin, self.phase = time.monotonic(), "watching"
        missed: dict[int, str] = {}
        self.notes = ["no user's request was judged: config key verdict is `functional`"]
        for look in range(1, self.looks + 1):
            time.sleep(max(0.0, begin + look * self.every - time.monotonic()))
            try:
                self._look_at_pods()
            except UnreachableError as error:  # a pod that failed meanwhile still shows its restarts later
                missed[look] = str(error)
            self.seconds = look * self.every
            self.traffic = self.queries.look(self.seconds, last=look >= self.looks)
            self._tell(f"{self.seconds:.0f} s of {self.duration:.0f} s: watching the canary's pods")
            if worst([*self._pod_checks(), *self.traffic]) == "unhealthy" or self.queries.fault:
                return self.traffic
        if self.looks in missed or len(missed) > MISSED_PART * self.looks:
            raise CommandError(
                f"the canary cannot be judged: {len(missed)} of {self.looks} looks could not see its pods"
                f" ({missed[max(missed)]}); try again",
                INCONCLUSIVE,
            )
        return self.traffic

    def _watch_traffic(self) -> list[Check]:
        begin, self.phase = time.monotonic(), "watching"
        self._interval()
        checks, queries = skipped_checks(self.keys, ENDED_EARLY), self.queries.skipped(ENDED_EARLY)
        for look in range(1, self.looks + 1):
            time.sleep(max(0.0, begin + look * self.every - time.monotonic()))
            try:
                interval = self._interval()
                self._look_at_pods()
            except UnreachableError as error:  # the next reading includes what was counted meanwhile
                self.requests.lost(f"metrics unreachable: {error}")
                interval = None
            self.seconds = look * self.every
            self.intervals += [interval] if interval else []
            checks, incomparable = self._traffic_checks(look)
            queries = self.queries.look(self.seconds, last=look >= self.looks)
            self.traffic = [*checks, *queries]
            line = progress(self.seconds, self.duration, interval) if interval else self.requests.unread
            self._tell(line, interval)
            if worst([*self._pod_checks(), *self.traffic]) == "unhealthy":
                break
            if fault := incomparable or self.queries.fault:
                self._tell(f"a longer trial cannot help: {fault}")
                return [*_explained(checks, fault), *queries]
        return [*(_explained(checks, self.requests.unread) if self.requests.unread else checks), *queries]

    def _traffic_checks(self, look: int) -> tuple[list[Check], str]:
        """Judge the requests so far; also return why even a longer trial cannot judge them ("" if it can)."""
        if fault := self.requests.fault:
            return skipped_checks(self.keys, fault), fault
        if not self.intervals:
            return skipped_checks(self.keys, ENDED_EARLY), ""
        samples = Samples.of(self.intervals)
        pods = samples.pods(self.intervals)
        chance, final = chance_at(look, self.looks, comparisons(self.keys)), look >= self.looks
        checks = traffic_checks(samples, pods, self.keys, look, self.looks)
        checks.append(routes_check(samples, self.keys, chance, final))
        self.notes = [*bad_pods(samples, pods, self.keys), *self._share_note(samples)]
        enough = len(self.intervals) >= MIN_INTERVALS
        return checks, why_incomparable(samples, self.intervals, self.keys) if enough else ""

    def _shares_by_pods(self) -> bool:
        """Return whether each track gets the users of its share of the pods, and not by a gateway's weight."""
        with suppress(UnreachableError):  # a role may not read routes; then the note may be wrong, but nothing else
            if has_track_backends(self.cluster):
                return False
        return "track" not in self.cluster.public_selector()

    def _share_note(self, samples: Samples) -> list[str]:
        """Return a note if the canary gets far fewer of the users' requests than its share of the pods."""
        pods = {track: self.watches[track].wanted for track in TRACKS}
        requests = samples.canary.route_totals.sum(), samples.stable.route_totals.sum()
        share, actual = pods["canary"] / max(1, sum(pods.values())), requests[0] / max(1.0, sum(requests))
        if not self.shares_by_pods or sum(requests) < SHARE_MINIMUM or actual >= SHARE_PART * share:
            return []
        return [
            f"the canary got {actual:.1%} of the requests, but has {share:.1%} of the pods: connections that users keep"
            " alive stay with stable, or requests to the canary never end"
        ]

    def _interval(self) -> Interval | None:
        """Return the requests since the last reading; None if no source could be read."""
        running = self._pods()
        return self.requests.interval(running, self._cold_processes(running).keys())

    def _look_at_pods(self) -> None:
        for track in TRACKS:
            deployment = self._deployment(track)
            if deployment.image != self.images[track]:
                raise CommandError(f"{track}'s image changed during the trial: start another trial", WRONG_USE)
            self.running = {**self.running, track: self.cluster.current_pods(track)}
            self._look(track, self.running[track], deployment.replicas)

    def _look(self, track: Track, pods: Sequence[Pod], wanted: int, since: datetime | None = None) -> None:
        """Look at the track's pods; ask about their nodes only if something is wrong with them."""
        lost_nodes: set[str] = set()
        ooms: list[tuple[str, datetime]] = []
        # A role may allow to read the namespace only. Without the nodes, the canary is blamed for its node's failures.
        if any(not pod.ready for pod in pods):
            with suppress(UnreachableError):
                lost_nodes = self.cluster.lost_nodes()
        if any(pod.last_end.get("exitCode") == KILLED for pod in pods):
            with suppress(UnreachableError):
                ooms = self.cluster.system_ooms()
        self.watches[track].look(pods, wanted, since, lost_nodes, ooms)

    def _tell(self, line: str, latest: Interval | None = None) -> None:
        """Pass on what has been seen so far, and the ``latest`` interval."""
        counted = {"canary": latest.canary, "stable": latest.stable} if latest else {}
        tracks: dict[Track, TrackSeen] = {
            track: TrackSeen.of(
                self.images[track], self.watches[track].wanted, self.running[track], counted.get(track, Counters())
            )
            for track in TRACKS
        }
        checks = [*(self._pod_checks() if self.watches["canary"].looks else ()), *self.functional, *self.traffic]
        self.observe(Observation(_now(), self.phase, line, self.seconds, self.duration, tracks, checks))

    def _pod_checks(self) -> list[Check]:
        canary, stable = self.watches["canary"], self.watches["stable"]
        return [readiness_check(canary, stable, self.looks), restarts_check(canary, stable)]

    def _verdict(self, functional: Sequence[Check], traffic: Sequence[Check]) -> Verdict:
        checks = [*self._pod_checks(), *functional, *traffic]
        digest = self.images["canary"].rpartition("@")[2]  # the program names every image by digest
        notes = [*self.watches["canary"].notes, *self.watches["stable"].notes, *self.notes]
        source = self.requests.chosen.name if self.requests.chosen else None
        return Verdict(worst(checks), digest, checks, self.began, _now(), chart(self.intervals), notes, source)

    def _deployment(self, track: Track) -> Deployment:
        deployment = self.cluster.deployment(track)
        if deployment is None or not deployment.replicas:
            raise CommandError(
                "there is no canary to judge: start one with `python -m promotion canary`"
                if track == "canary"
                else "there is no stable to compare the canary with: start one with `python -m promotion up`",
                WRONG_USE,
            )
        return deployment


def _explained(checks: Sequence[Check], reason: str) -> list[Check]:
    """Return the checks, with this reason for each inconclusive one."""
    return [replace(check, reason=reason) if check.result == "inconclusive" else check for check in checks]


def _now() -> datetime:
    """Return the time in UTC to the second, as Kubernetes writes times."""
    return datetime.now(UTC).replace(microsecond=0)
