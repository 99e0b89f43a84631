"""The one reader of a gateway's request metrics: Traefik's, which counts the requests of each Service behind it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from prometheus_client.samples import Sample

from contract.judging import TRAEFIK_METRICS
from contract.platform import TRAEFIK_METRICS_PORT, traefik_app, traefik_backends
from promotion.state.cluster.cluster import TRACKS, Cluster, Track, UnreachableError
from promotion.state.cluster.counters import Reading
from promotion.state.cluster.metrics import READERS, MetricsError, counters_of, samples_of
from promotion.state.cluster.pods import Pod

#: Label of the pods of a Traefik that the cluster has, by Traefik's own Helm chart.
CLUSTERS_TRAEFIK = "app.kubernetes.io/name=traefik"


def has_track_backends(cluster: Cluster) -> bool:
    """Return whether a route of the namespace leads to the tracks' own Services, so that a gateway tells them apart.

    Raises UnreachableError.
    """
    backends = cluster.backends()
    return bool({f"{cluster.service}-canary", f"{cluster.service}-sticky"} & backends)


def read_traefik(cluster: Cluster) -> dict[Track, list[Reading]]:
    """Read each track's requests from all of Traefik's pods; a track has one reading for each of them.

    The stack has a Traefik of its own, or the cluster has one. That one may not serve the stack's Gateway: until it has
    counted a request of the service, its readings are unread. Raises UnreachableError if its pods cannot be listed.
    """
    own = cluster.pods_labelled(f"app={traefik_app(cluster.service)}", cluster.namespace)
    pods = [pod for pod in own or cluster.pods_labelled(CLUSTERS_TRAEFIK) if pod.running]
    with ThreadPoolExecutor(READERS) as readers:
        by_pod = list(readers.map(partial(_read, cluster), pods))
    readings: dict[Track, list[Reading]] = {track: [each[track] for each in by_pod] for track in TRACKS}
    if own or any(each.counters and each.counters.total for track in TRACKS for each in readings[track]):
        return readings
    return {track: [_without_requests(each) for each in readings[track]] for track in TRACKS}


def _without_requests(reading: Reading) -> Reading:
    why = reading.unread or f"Traefik's pod {reading.pod} has counted no request of the service"
    return replace(reading, counters=None, unread=why)


def _read(cluster: Cluster, pod: Pod) -> Mapping[Track, Reading]:
    try:
        port = pod.port("metrics") or TRAEFIK_METRICS_PORT
        with cluster.within(pod.namespace).forward(pod, port) as connection:
            connection.request("GET", TRAEFIK_METRICS.path)
            samples = samples_of(connection.getresponse().read().decode(errors="replace"))
        counters = {track: counters_of(_of_track(samples, cluster, track), TRAEFIK_METRICS) for track in TRACKS}
    except UnreachableError as error:
        return {track: Reading(pod.process, None, str(error), pod=pod.name) for track in TRACKS}
    except (MetricsError, http.client.HTTPException, OSError) as error:
        why = f"Traefik's pod {pod.name}, {TRAEFIK_METRICS.path}: {error}"
        return {track: Reading(pod.process, None, why, pod=pod.name) for track in TRACKS}
    return {track: Reading(pod.process, counters[track], pod=pod.name) for track in TRACKS}


def _of_track(samples: Sequence[Sample], cluster: Cluster, track: Track) -> list[Sample]:
    names = traefik_backends(cluster.namespace, f"{cluster.service}-{track}")
    return [each for each in samples if each.labels.get("service") in names]
