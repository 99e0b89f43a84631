"""The one reader of pods' metrics, and of anything else in Prometheus' text format that counts requests.

The contract with the service: Prometheus' text format at a path of the metrics port, with a counter of requests by
status and a histogram of their times. `contract.judging.RequestMetrics` has their names.
"""

from __future__ import annotations

import http.client
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeGuard

from prometheus_client.samples import Sample

from contract.judging import RequestMetrics
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.cluster.counters import Counters, Reading, Route
from promotion.state.cluster.pods import Pod

#: Prometheus' convention for the build of a process: a metric NAME_build_info with a label ``revision``.
BUILD_INFO = re.compile(r"^\w+_build_info\{[^}]*\brevision=\"(?P<revision>[^\"]*)\"", re.MULTILINE)
#: A status, or `5xx` for all of its class.
STATUS = re.compile(r"^([0-9]+|[1-5]xx)$")
NO_PORT = "the service has no metrics port (config key metricsPort)"
#: Pods read at the same time.
READERS = 8


class MetricsError(ValueError):
    """Metrics that a verdict needs are missing from a pod's answer; the message names them."""


def read_pods(cluster: Cluster, pods: Sequence[Pod], metrics: RequestMetrics) -> list[Reading]:
    """Read the metrics of all pods, several at a time."""
    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(partial(_read, cluster, metrics), pods))


def _read(cluster: Cluster, metrics: RequestMetrics, pod: Pod) -> Reading:
    port = pod.port("metrics")
    if port is None:
        return Reading(pod.process, None, NO_PORT, pod=pod.name)
    try:
        with cluster.forward(pod, port) as connection:
            connection.request("GET", metrics.path)
            text = connection.getresponse().read().decode(errors="replace")
        counters = parse(text, pod.probe_paths, metrics)
    except UnreachableError as error:
        return Reading(pod.process, None, str(error), pod=pod.name)
    except (MetricsError, http.client.HTTPException, OSError) as error:
        return Reading(pod.process, None, f"pod {pod.name}, {metrics.path}: {error}", pod=pod.name)
    build = BUILD_INFO.search(text)
    return Reading(pod.process, counters, "", build["revision"] if build else "", pod.name)


def parse(text: str, hidden: Collection[str] = (), metrics: RequestMetrics | None = None) -> Counters:
    """Parse a pod's metrics, without the ``hidden`` routes (probes) and the metrics route itself.

    Raises MetricsError.
    """
    names = metrics or RequestMetrics()
    samples = samples_of(text)
    counters = counters_of(samples, names, (*hidden, names.path))
    # Before its first request a service has no series yet, but perhaps already the lines about their type.
    family = names.durations if names.is_histogram else names.requests
    is_known = any(sample.name == names.requests for sample in samples)
    if not is_known and not re.search(rf"^# TYPE {re.escape(family)} ", text, re.MULTILINE):
        raise MetricsError(f"there is no metric `{names.requests}`, or no request has been counted yet")
    return counters


def samples_of(text: str) -> list[Sample]:
    """Return the samples of an answer in Prometheus' text format. Raises MetricsError."""
    from prometheus_client.parser import text_string_to_metric_families  # slow to import

    try:
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError as error:
        raise MetricsError(f"the answer is not in Prometheus' text format ({error})") from None


def counters_of(samples: Iterable[Sample], names: RequestMetrics, hidden: Collection[str] = ()) -> Counters:
    """Sum up samples as requests, without the ``hidden`` routes. Raises MetricsError."""
    requests: dict[tuple[Route, int], float] = defaultdict(float)
    durations: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    statuses: set[str | None] = set()
    for sample in samples:
        if any(sample.labels.get(label) != value for label, value in names.only.items()):
            continue
        route = (sample.labels.get(names.method, ""), sample.labels.get(names.route, ""))
        status = sample.labels.get(names.status)
        is_hidden = any(_covers(route[1], path) for path in hidden)
        if sample.name == names.requests and (_is_status(status) or not is_hidden):
            statuses.add(status)
        if is_hidden:
            continue
        if sample.name == names.requests and _is_status(status):
            requests[route, _status(status)] += sample.value
        elif sample.name == f"{names.durations}_bucket" and (_is_status(status) or not names.is_histogram):
            durations[route][_bound(sample) * names.seconds] += sample.value
    _require_a_status(statuses, names)
    return Counters(requests, {route: dict(buckets) for route, buckets in durations.items()})


def _bound(sample: Sample) -> float:
    """Return a bucket's upper bound. Raises MetricsError."""
    try:
        return float(sample.labels.get("le", ""))
    except ValueError as error:
        raise MetricsError(f"the answer is not in Prometheus' text format ({error})") from None


def _covers(route: str, path: str) -> bool:
    """Return whether a route is this path, or a pattern such as ``/actuator/health/**`` that includes it.

    ``/**`` includes every path, those of the users too, so it covers none.
    """
    parent = route.removesuffix("/**")
    return route == path or (parent not in ("", route) and f"{path}/".startswith(f"{parent}/"))


def _is_status(text: str | None) -> TypeGuard[str]:
    """Return whether the label has a status.

    OpenTelemetry omits it if no answer was sent, and Micrometer writes UNKNOWN; such a request has no result to judge.
    """
    return text is not None and STATUS.match(text) is not None


def _status(text: str) -> int:
    """Return an HTTP status; 500 for ``5xx``."""
    return int(text.replace("xx", "00"))


def _require_a_status(statuses: Collection[str | None], names: RequestMetrics) -> None:
    """Raise MetricsError if requests were counted, but no sample has a status: then the label is another one."""
    if not statuses or any(map(_is_status, statuses)):
        return
    if None in statuses:
        raise MetricsError(f"`{names.requests}` has no label {names.status!r}, the status of the answers")
    other = min(filter(None, statuses), default="")
    why = f"the label `{names.status}` of `{names.requests}` is {other!r}, which is no HTTP status"
    raise MetricsError(f"the answer is not in Prometheus' text format ({why})")
