"""The lab's own requests to its API server."""

from __future__ import annotations

import datetime
import http.client
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

from lab.certificates import Authority
from lab.component import PROBE_SECONDS
from lab.control_plane import ADMINISTRATOR
from lab.errors import LabError
from lab.layout import Lab

# Reasons of waiting containers that would not start on an undisturbed node either.
FAILING = ("CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName")


def get(lab: Lab, authority: Authority, path: str) -> dict[str, Any] | None:
    """Return the object or list at `path`, or None if the server does not answer or does not have it."""
    try:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(*map(str, authority.client(ADMINISTRATOR)))
        connection = http.client.HTTPSConnection(lab.node_address, 6443, timeout=PROBE_SECONDS, context=context)
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return json.loads(response.read()) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def node_ready(lab: Lab, authority: Authority, since: float) -> bool:
    """Return whether the kubelet has reported the node as ready after `since` (seconds since 1970).

    An earlier kubelet's report stays in the node's status, so its time matters.
    """
    node = get(lab, authority, f"/api/v1/nodes/{lab.name}")
    for condition in node["status"].get("conditions", []) if node else []:
        if condition["type"] == "Ready" and condition["status"] == "True":
            return _seconds(condition["lastHeartbeatTime"]) >= int(since)  # the API's times are whole seconds
    return False


def has_service_account(lab: Lab, authority: Authority) -> bool:
    """Return whether the controllers have created the default service account, which pods require."""
    return get(lab, authority, "/api/v1/namespaces/default/serviceaccounts/default") is not None


def pods_to_return(lab: Lab, authority: Authority, since: float) -> list[str]:
    """Return the pods created before `since` (seconds since 1970) that have not restarted, as `namespace/name`.

    Finished, failing and terminating pods are left out.
    """
    pods = get(lab, authority, "/api/v1/pods") or {"items": []}
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods["items"]
        if _seconds(pod["metadata"]["creationTimestamp"]) < int(since) and _awaits_restart(pod, since)
    ]


def _awaits_restart(pod: dict[str, Any], since: float) -> bool:
    status = pod["status"]
    if status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]:
        return False
    states = [container.get("state", {}) for container in status.get("containerStatuses", [])]
    if any(state.get("waiting", {}).get("reason") in FAILING for state in states):
        return False
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions", []))
    started = [_seconds(state["running"]["startedAt"]) for state in states if "running" in state]
    return not ready or any(moment < int(since) for moment in started)


def _seconds(timestamp: str) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp()


def has_default_class(lab: Lab, authority: Authority) -> bool:
    """Return whether the lab's storage class exists, as the last of the add-ons' objects."""
    return get(lab, authority, "/apis/storage.k8s.io/v1/storageclasses/standard") is not None


def apply(kubectl: Path, lab: Lab, manifest: str) -> None:
    """Apply a manifest on the server's side. Raises LabError with kubectl's message."""
    command = [str(kubectl), "--kubeconfig", str(lab.kubeconfig), "apply", "--server-side", "--force-conflicts"]
    result = subprocess.run(
        [*command, "--field-manager=addressbook-lab", "-f", "-"], input=manifest, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise LabError(f"The add-ons' objects cannot be applied: {result.stderr.strip()}")
