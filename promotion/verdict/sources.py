"""Sources of the users' requests: the gateway's metrics, the pods', or Prometheus; the first that has them is read.

A source returns what each track has answered since it was last read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.samples import Sample

from contract.judging import RequestMetrics, SourceName, filled
from contract.settings import VerdictKeys
from promotion.state.cluster.cluster import TRACKS, Cluster, Track, UnreachableError
from promotion.state.cluster.counters import CounterDeltas, Counters, Reading, total
from promotion.state.cluster.gateway import has_track_backends, read_traefik
from promotion.state.cluster.metrics import NO_PORT, MetricsError, counters_of, read_pods
from promotion.state.cluster.pods import Pod
from promotion.state.prometheus import Prometheus, PrometheusError
from promotion.verdict.samples import Interval

#: What to do about a service whose requests nothing counts.
WAYS_OUT = (
    "share the users by weight at a gateway (canaryWeight), name the service's metrics (metricsPort, or prometheus and"
    " requestSelector), or set `verdict: functional`"
)
NO_SOURCE = f"nothing counts the service's requests: {WAYS_OUT}"
NO_GATEWAY = "no route of a gateway leads to the tracks' own Services (config key canaryWeight)"
NO_SELECTOR = "there is no requestSelector (config key)"

Pods = Mapping[Track, Sequence[Pod]]


class UnreadError(Exception):
    """A source could not be read. If it is ``absent``, the stack does not have it at all."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


class Source(Protocol):
    """Something that counts each track's requests."""

    name: SourceName

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval:
        """Return the requests since the previous call, none at the first. Those of ``cold`` processes do not count.

        Raises UnreadError; the next call then includes what was counted meanwhile.
        """
        ...

    @property
    def fault(self) -> str:
        """Why even a longer trial cannot use the source; "" if it can."""
        ...


def _deltas() -> dict[Track, CounterDeltas]:
    return {track: CounterDeltas() for track in TRACKS}


@dataclass
class GatewaySource:
    """Traefik's counters for each track's Service. A track whose pods are cold has no requests that count."""

    cluster: Cluster
    name: SourceName = "gateway"
    fault: str = ""
    _deltas: dict[Track, CounterDeltas] = field(default_factory=_deltas)

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval:  # noqa: ARG002 it does not know the pods
        """Return the requests that Traefik has passed on."""
        try:
            if not has_track_backends(self.cluster):
                raise UnreadError(NO_GATEWAY, absent=True)
            readings = read_traefik(self.cluster)
        except UnreachableError as error:
            raise UnreadError(str(error)) from None
        if not any(reading.counters for reading in readings["stable"]):
            why = next((reading.unread for reading in readings["stable"]), "no pod of Traefik is running")
            raise UnreadError(why)
        canary, stable = (self._deltas[track].add(readings[track]) for track in TRACKS)
        return Interval(Counters(), Counters()) if cold else Interval(canary, stable)


@dataclass
class PodSource:
    """The metrics of the service's own pods."""

    cluster: Cluster
    metrics: RequestMetrics
    name: SourceName = "pods"
    _deltas: dict[Track, CounterDeltas] = field(default_factory=_deltas)

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval:
        """Return the requests that the pods have answered."""
        readings = {
            track: read_pods(self.cluster, [pod for pod in pods[track] if pod.running], self.metrics)
            for track in TRACKS
        }
        unread = {
            track: next((reading.unread for reading in readings[track]), f"no pod of {track} is running")
            for track in TRACKS
            if not any(reading.counters for reading in readings[track])
        }
        if unread:
            reasons = sorted(set(unread.values()))
            raise UnreadError("; ".join(reasons), absent=reasons == [NO_PORT])
        by_pod = self._deltas["canary"].add_by_pod(readings["canary"], cold)
        stable = self._deltas["stable"].add_by_pod(readings["stable"], cold)
        return Interval(total(by_pod.values()), total(stable.values()), by_pod)

    @property
    def fault(self) -> str:
        """Why no trial can use the counters: several processes answer in turn; "" if they do not."""
        pod = next((deltas.shared_port for deltas in self._deltas.values() if deltas.shared_port), "")
        if not pod:
            return ""
        return (
            f"the counters of pod {pod} go up and down: several processes answer on its metrics port in turn. Let one"
            " process report for all (Prometheus clients call it multiprocess mode), or run one in each pod"
        )


@dataclass
class PrometheusSource:
    """Request metrics that a Prometheus has scraped, from wherever they come.

    Prometheus scrapes the tracks at different times. An interval therefore lasts until both have new requests.
    """

    prometheus: Prometheus | None
    cluster: Cluster
    metrics: RequestMetrics
    selector: str
    name: SourceName = "prometheus"
    _deltas: dict[Track, CounterDeltas] = field(default_factory=_deltas)
    _pending: dict[Track, Counters] = field(default_factory=lambda: {track: Counters() for track in TRACKS})

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval:  # noqa: ARG002 it does not know the pods
        """Return the requests that Prometheus has seen of both tracks."""
        if self.prometheus is None or not self.selector:
            raise UnreadError(NO_SELECTOR, absent=True)
        try:
            readings = {track: self._readings(self.prometheus, track) for track in TRACKS}
        except (PrometheusError, MetricsError) as error:
            raise UnreadError(str(error)) from None
        if not readings["stable"]:
            raise UnreadError(f"Prometheus has no series for `{self._query(self.metrics.requests, 'stable')}`")
        for track in TRACKS:
            self._pending[track] = total([self._pending[track], self._deltas[track].add(readings[track])])
        if not cold and not all(self._pending[track].total for track in TRACKS):
            return Interval(Counters(), Counters())
        interval = Interval(self._pending["canary"], self._pending["stable"])
        self._pending = {track: Counters() for track in TRACKS}
        return Interval(Counters(), Counters()) if cold else interval

    @property
    def fault(self) -> str:
        """Whether several servers answer in turn: each has scraped at another time, so counters seem to restart."""
        if not any(deltas.shared_port for deltas in self._deltas.values()):
            return ""
        return (
            "Prometheus' counters go up and down: several servers answer in turn behind the address in `prometheus`, or"
            " a process keeps restarting. Name one server, such as a Service that selects a single pod"
        )

    def _readings(self, prometheus: Prometheus, track: Track) -> list[Reading]:
        """Return the track's counters for each process: what its series have in common beside what they count by."""
        counted = {"__name__", "le", self.metrics.method, self.metrics.route, self.metrics.status}
        processes: dict[str, list[Sample]] = defaultdict(list)
        for metric in (self.metrics.requests, f"{self.metrics.durations}_bucket"):
            for series in prometheus.instant(self._query(metric, track)):
                process = str(sorted((name, text) for name, text in series.labels.items() if name not in counted))
                processes[process] += [Sample(metric, dict(series.labels), value) for value in series.values.values()]
        return [
            Reading(process, counters_of(samples, self.metrics), pod=process) for process, samples in processes.items()
        ]

    def _query(self, metric: str, track: Track) -> str:
        return f"{metric}{{{filled(self.selector, track, self.cluster.service, self.cluster.namespace)}}}"


@dataclass
class FirstSource:
    """The first source that has the service's requests; it stays the source for the whole trial.

    ``unread`` says why the last attempt failed, "" if it did not. ``has_none``: the stack has no source at all.
    """

    candidates: Sequence[Source]
    chosen: Source | None = None
    unread: str = ""
    has_none: bool = False

    @classmethod
    def of(cls, cluster: Cluster, keys: VerdictKeys, prometheus: Prometheus | None) -> FirstSource:
        """Return the sources that the config allows, in order."""
        sources: Sequence[Source] = (
            GatewaySource(cluster),
            PodSource(cluster, keys.metrics),
            PrometheusSource(prometheus, cluster, keys.metrics, keys.request_selector),
        )
        return cls([each for each in sources if keys.request_source in ("first", each.name)])

    def interval(self, pods: Pods, cold: Collection[str]) -> Interval | None:
        """Return the requests since the previous call; None if no source could be read."""
        failures: dict[SourceName, UnreadError] = {}
        for source in [self.chosen] if self.chosen else self.candidates:
            try:
                interval = source.interval(pods, cold)
            except UnreadError as error:
                failures[source.name] = error
            else:
                self.chosen, self.unread, self.has_none = source, "", False
                return interval
        self.has_none = all(error.absent for error in failures.values())
        self.unread = self._why(failures)
        return None

    def lost(self, why: str) -> None:
        """Note why the requests could not be read this time."""
        self.unread = why

    @property
    def fault(self) -> str:
        """Why even a longer trial cannot judge the requests; "" if it can."""
        return self.unread if self.has_none else self.chosen.fault if self.chosen else ""

    def _why(self, failures: Mapping[SourceName, UnreadError]) -> str:
        if self.has_none and len(self.candidates) > 1:
            return NO_SOURCE
        reasons = "; ".join(str(error) for error in failures.values() if self.has_none or not error.absent)
        if self.has_none:
            return f"{reasons}, and requestSource allows no other source"
        return f"metrics unreachable: {reasons}" + ("" if self.chosen else f"; if the service has none, {WAYS_OUT}")
