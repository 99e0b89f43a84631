"""The tracks of a rehearsed stack in the lab's cluster, and how users reach them."""

from __future__ import annotations

import json
from typing import Any

from lab.project import create_person, delete_person, read_person
from lab.rehearsal import Rehearsal, StepFailed


def check_both_tracks(rehearsal: Rehearsal, *tracks: str) -> str:
    """Create a person at the public address and read it from each track; all pods must be behind that address.

    Raises StepFailed and SmokeTestError.
    """
    outputs = rehearsal.outputs()
    url, service = str(outputs["url"]), outputs["service"]
    public = _endpoints(rehearsal, f"{service}-lb")
    person = create_person(url)
    for track in tracks:
        pods = _pod_addresses(rehearsal, service, track)
        if not pods or not pods <= public:
            raise StepFailed(f"{track} has the pods {sorted(pods)}, but {service}-lb routes to {sorted(public)}")
        spec = _objects(rehearsal, "services", f"metadata.name={service}-{track}", by="field")[0]["spec"]
        read_person(f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}", person)
    delete_person(url, person)
    return f"a person created at {url} and read from {' and '.join(tracks)}; {service}-lb routes to all their pods"


def ready_replicas(rehearsal: Rehearsal, track: str) -> int:
    """Return the number of a track's ready pods, as Kubernetes counts them."""
    deployments = _objects(rehearsal, "deployments", f"track={track}")
    return sum(item["status"].get("readyReplicas", 0) for item in deployments)


def pod_names(rehearsal: Rehearsal, track: str) -> set[str]:
    """Return the names of a track's pods."""
    return {item["metadata"]["name"] for item in _objects(rehearsal, "pods", f"track={track}")}


def _pod_addresses(rehearsal: Rehearsal, service: str, track: str) -> set[str]:
    """Return the addresses of a track's pods, except those that are being deleted."""
    pods = _objects(rehearsal, "pods", f"app={service},track={track}")
    return {item["status"].get("podIP", "") for item in pods if "deletionTimestamp" not in item["metadata"]}


def _endpoints(rehearsal: Rehearsal, service: str) -> set[str]:
    """Return the addresses of a Service's ready endpoints."""
    slices = _objects(rehearsal, "endpointslices", f"kubernetes.io/service-name={service}")
    endpoints = [each for item in slices for each in item["endpoints"] or []]
    return {address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]}


def _objects(rehearsal: Rehearsal, kind: str, selector: str, by: str = "label") -> list[dict[str, Any]]:
    select = "--selector" if by == "label" else "--field-selector"
    output = rehearsal.kubectl("get", kind, "-n", rehearsal.namespace, f"{select}={selector}", "-o", "json").stdout
    return json.loads(output or "{}").get("items", [])
