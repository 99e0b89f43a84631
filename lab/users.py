"""What users of a rehearsed stack do with its API, and what they are sent to."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from lab.rehearsal import Failed, Rehearsal

ANSWER_SECONDS = 30.0  # longest wait for the first answer at a new address
PERSON = ("Ada", "Lovelace")


def round_trip(rehearsal: Rehearsal) -> str:
    """Create, read and delete a person, as a user of the public address would. Raises Failed."""
    url = str(rehearsal.outputs()["url"])
    _answers(url)
    person = _stored(url)
    _read(url, person)
    _http("DELETE", f"{url}/person/{person}")
    return f"a person stored, read and deleted at {url}"


def both_tracks(rehearsal: Rehearsal, *tracks: str) -> str:
    """Store a person at the public address and read it from each track, all of whose pods are behind that address.

    Raises Failed.
    """
    outputs = rehearsal.outputs()
    url, service = str(outputs["url"]), outputs["service"]
    behind = _behind(rehearsal, f"{service}-lb")
    person = _stored(url)
    for track in tracks:
        pods = _pods(rehearsal, service, track)
        if not pods or not pods <= behind:
            raise Failed(f"{track} has the pods {sorted(pods)}, and behind {service}-lb are {sorted(behind)}")
        own = _objects(rehearsal, "services", f"metadata.name={service}-{track}", by="field")[0]["spec"]
        _read(f"http://{own['clusterIP']}:{own['ports'][0]['port']}", person)
    _http("DELETE", f"{url}/person/{person}")
    return f"a person stored at {url}, read from {' and from '.join(tracks)}, whose pods are all behind {service}-lb"


def ready(rehearsal: Rehearsal, track: str) -> int:
    """Ready pods of a track, by Kubernetes' word."""
    found = _objects(rehearsal, "deployments", f"track={track}")
    return sum(item["status"].get("readyReplicas", 0) for item in found)


def pod_names(rehearsal: Rehearsal, track: str) -> set[str]:
    """Names of a track's pods."""
    return {item["metadata"]["name"] for item in _objects(rehearsal, "pods", f"track={track}")}


def _pods(rehearsal: Rehearsal, service: str, track: str) -> set[str]:
    """Addresses of a track's pods, less those that are on their way out."""
    found = _objects(rehearsal, "pods", f"app={service},track={track}")
    return {item["status"].get("podIP", "") for item in found if "deletionTimestamp" not in item["metadata"]}


def _behind(rehearsal: Rehearsal, service: str) -> set[str]:
    """Addresses that a Service sends users to."""
    slices = _objects(rehearsal, "endpointslices", f"kubernetes.io/service-name={service}")
    endpoints = [each for item in slices for each in item["endpoints"] or []]
    return {address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]}


def _objects(rehearsal: Rehearsal, kind: str, selector: str, by: str = "label") -> list[dict[str, Any]]:
    select = "--selector" if by == "label" else "--field-selector"
    shown = rehearsal.kubectl("get", kind, "-n", rehearsal.namespace, f"{select}={selector}", "-o", "json")
    return json.loads(shown.stdout or "{}").get("items", [])


def _stored(url: str) -> str:
    first, last = PERSON
    return str(json.loads(_http("PUT", f"{url}/person", {"firstName": first, "lastName": last}))["id"])


def _read(url: str, person: str) -> None:
    read = json.loads(_http("GET", f"{url}/person/{person}"))
    if (read["firstName"], read["lastName"]) != PERSON:
        raise Failed(f"the person read from {url} is not the one that was stored: {read}")


def _answers(url: str) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            _http("GET", f"{url}/ready")
        except Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _http(method: str, url: str, form: dict[str, str] | None = None) -> bytes:
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 an address of the lab
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.read()
    except urllib.error.HTTPError as fault:
        raise Failed(f"{method} {url} answered {fault.code}: {fault.read()[:300]!r}") from None
    except OSError as fault:
        raise Failed(f"{method} {url}: {fault}") from None
