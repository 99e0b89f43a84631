"""Rules of the HTTPRoute: which Services get the requests, and in which share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.shares import traffic_shares
from contract.platform import HTTP_PORT
from contract.settings import ReleaseSettings

#: Port of the Services behind a Gateway. Never changed: Google's controller would lose the pods behind the load
#: balancer (GKE known issues, NEG controller stops managing endpoints when port removed from Service).
GATEWAY_PORT = HTTP_PORT
#: Sum of the weights, so that one decimal of a percentage counts.
WHOLE = 1000
#: Traefik's own group: HTTPRoutes have no stable field for cookies (Gateway API, sessionPersistence is experimental).
TRAEFIK_GROUP, TRAEFIK_VERSION, TRAEFIK_SERVICE = "traefik.io", "traefik.io/v1alpha1", "TraefikService"

Rule = Mapping[str, Any]


def weights(release: ReleaseSettings) -> dict[str, int]:
    """Return each declared track's weight, in thousandths of the users."""
    return {track: round(share.percent * WHOLE / 100) for track, share in traffic_shares(release).items()}


def route_rules(service: str, release: ReleaseSettings) -> list[Rule]:
    """Return the rules of the route to the service.

    Without weights there is one backend, the public Service, which shares the users by pods. Testers' header comes
    first: a rule with a header match precedes one without (Gateway API, HTTPRouteRule).
    """
    if not release.has_weights:
        return [{"backendRefs": [_backend(f"{service}-lb")]}]
    tracks = weights(release)
    if is_sticky(release):
        shared: list[Rule] = [{"group": TRAEFIK_GROUP, "kind": TRAEFIK_SERVICE, "name": sticky_name(service)}]
    else:
        shared = [{**_backend(f"{service}-{track}"), "weight": weight} for track, weight in tracks.items()]
    return [*_testers_rule(service, release), {"backendRefs": shared}]


def _testers_rule(service: str, release: ReleaseSettings) -> list[Rule]:
    if not (release.canary_header and release.has_canary):
        return []
    name, _, value = release.canary_header.partition(": ")
    match = {"headers": [{"type": "Exact", "name": name, "value": value}]}
    return [{"matches": [match], "backendRefs": [_backend(f"{service}-canary")]}]


def _backend(name: str) -> dict[str, Any]:
    return {"name": name, "port": GATEWAY_PORT}


def is_sticky(release: ReleaseSettings) -> bool:
    """Return whether browsers must be kept with a version now, because there are two."""
    return release.sticky and release.has_canary


def sticky_name(service: str) -> str:
    """Return the name of the TraefikService."""
    return f"{service}-sticky"


def sticky_spec(service: str, release: ReleaseSettings, cookie: pulumi.Input[str], *, secure: bool) -> dict[str, Any]:
    """Return Traefik's shares of the tracks, with a cookie that names the track which a browser met first.

    Traefik ignores a cookie for a track of weight 0. So with `traffic canary` every browser moves to the canary, once.
    The cookie's own name changes with the version on trial: the next trial draws afresh.
    """
    shares = weights(release).items()
    return {
        "weighted": {
            "services": [{**_backend(f"{service}-{track}"), "weight": weight} for track, weight in shares],
            "sticky": {"cookie": {"name": cookie, "httpOnly": True, "secure": secure, "sameSite": "lax"}},
        }
    }
