"""The functions of the provider that the program calls."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta

from lab.plugins.account import Account
from lab.plugins.aws.account import NUMBER, zones
from lab.plugins.aws.addons import recommended
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.times import timestamp

TOKEN_LIFE = timedelta(hours=12)
_USER = "AWS"


def _availability_zones(account: Account, region: str, given: Properties) -> Properties:
    """Zones as DescribeAvailabilityZones gives them; there are no local zones, which an account must opt in to."""
    del account
    known = zones(region)
    for each in given.get("filters") or []:
        known = _filtered(known, region, each["name"], each["values"])
    excluded = {*(given.get("excludeZoneIds") or []), *(given.get("excludeNames") or [])}
    known = {name: id for name, id in known.items() if not excluded & {name, id}}
    return {"groupNames": [region], "names": list(known), "zoneIds": list(known.values())}


def _filtered(known: dict[str, str], region: str, what: str, values: list[str]) -> dict[str, str]:
    fixed = {"zone-type": "availability-zone", "opt-in-status": "opt-in-not-required", "state": "available"}
    fixed["region-name"] = region
    if what in fixed:
        return known if fixed[what] in values else {}
    if what in ("zone-name", "zone-id"):
        return {name: id for name, id in known.items() if (name if what == "zone-name" else id) in values}
    raise Refused(f"400 InvalidParameterValue: the filter {what!r} is invalid")


def _addon_version(account: Account, region: str, given: Properties) -> Properties:
    del account, region
    return {"version": recommended(given["addonName"], given["kubernetesVersion"])}


def _authorization_token(account: Account, region: str, given: Properties) -> Properties:
    """A login for pushing, another one each time."""
    del region
    password = secrets.token_urlsafe(48)
    return {
        "authorizationToken": base64.b64encode(f"{_USER}:{password}".encode()).decode(),
        "expiresAt": timestamp(TOKEN_LIFE),
        "password": password,
        "proxyEndpoint": f"https://{account.lab.registry}",
        "registryId": given.get("registryId", NUMBER),
        "userName": _USER,
    }


Function = Callable[[Account, str, Properties], Properties]
#: Each function with its arguments, those of them that must be given, and what it returns beside them.
FUNCTIONS: Mapping[str, tuple[Function, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": (
        _availability_zones,
        ("allAvailabilityZones", "excludeNames", "excludeZoneIds", "filters", "region", "state"),
        (),
        ("groupNames", "names", "zoneIds"),
    ),
    "aws:eks/getAddonVersion:getAddonVersion": (
        _addon_version,
        ("addonName", "kubernetesVersion", "mostRecent", "region"),
        ("addonName", "kubernetesVersion"),
        ("version",),
    ),
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": (
        _authorization_token,
        ("region", "registryId"),
        (),
        ("authorizationToken", "expiresAt", "password", "proxyEndpoint", "userName"),
    ),
}
