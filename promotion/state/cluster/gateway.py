"""The one reader of a gateway's request metrics: Traefik's, which counts the requests of each Service behind it."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from contract.judging import TRAEFIK
from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.state.cluster.counters import Reading
from promotion.state.cluster.metrics import READERS, MetricsError, counters_of, samples_of
from promotion.state.cluster.pods import Pod

#: Labels of Traefik's pods, by the program and by Traefik's own Helm chart.
TRAEFIK_PODS = "app.kubernetes.io/name=traefik"
TRACKS: tuple[Track, Track] = ("canary", "stable")


def has_track_backends(cluster: Cluster) -> bool:
    """Return whether a route of the namespace leads to the tracks' own Services, so that a gateway tells them apart.

    Raises UnreachableError.
    """
    backends = cluster.backends()
    return bool({f"{cluster.service}-canary", f"{cluster.service}-sticky"} & backends)


def read_traefik(cluster: Cluster) -> dict[Track, list[Reading]]:
    """Read each track's requests from all of Traefik's pods; a track has one reading for each of them.

    Raises UnreachableError if Traefik's pods cannot be listed.
    """
    pods = [pod for pod in cluster.pods_labelled(TRAEFIK_PODS) if pod.running]
    with ThreadPoolExecutor(READERS) as readers:
        by_pod = list(readers.map(partial(_read, cluster), pods))
    return {track: [readings[track] for readings in by_pod] for track in TRACKS}


def _read(cluster: Cluster, pod: Pod) -> Mapping[Track, Reading]:
    try:
        port = pod.port("metrics")
        if port is None:
            raise MetricsError("it has no port `metrics`")
        with cluster.within(pod.namespace).forward(pod, port) as connection:
            connection.request("GET", TRAEFIK.path)
            samples = samples_of(connection.getresponse().read().decode(errors="replace"))
        counters = {
            track: counters_of(
                [each for each in samples if _is_of(each.labels.get("service", ""), cluster, track)], TRAEFIK
            )
            for track in TRACKS
        }
    except UnreachableError as error:
        return {track: Reading(pod.process, None, str(error), pod=pod.name) for track in TRACKS}
    except (MetricsError, http.client.HTTPException, OSError) as error:
        why = f"Traefik's pod {pod.name}, {TRAEFIK.path}: {error}"
        return {track: Reading(pod.process, None, why, pod=pod.name) for track in TRACKS}
    return {track: Reading(pod.process, counters[track], pod=pod.name) for track in TRACKS}


def _is_of(name: str, cluster: Cluster, track: Track) -> bool:
    """Return whether Traefik's name of a service is the track's, as a route names it or a TraefikService.

    Traefik joins namespace, Service and port by hyphens, and replaces other characters (pkg/provider/provider.go).
    """
    own = "-".join(re.findall(r"[a-z0-9]+", f"{cluster.namespace}-{cluster.service}-{track}"))
    return re.fullmatch(rf"{own}(-http)?-[0-9]+@kubernetes(gateway|crd)", name) is not None
