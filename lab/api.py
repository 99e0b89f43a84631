"""The few questions that the lab itself asks its API server."""

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


def get(lab: Lab, authority: Authority, path: str) -> dict[str, Any] | None:
    """The object or list at `path`, or None when the server does not answer or does not have it."""
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
    """Whether the kubelet has said that the node can take pods, and that after `since` (seconds since 1970).

    What an earlier kubelet said stays in the node's status, so that its time matters.
    """
    node = get(lab, authority, f"/api/v1/nodes/{lab.name}")
    for condition in node["status"].get("conditions", []) if node else []:
        if condition["type"] == "Ready" and condition["status"] == "True":
            heard = datetime.datetime.fromisoformat(condition["lastHeartbeatTime"])
            return heard.timestamp() >= int(since)  # the API's times are whole seconds
    return False


def has_service_account(lab: Lab, authority: Authority) -> bool:
    """Whether the controllers work: pods can be created from the moment the default service account exists."""
    return get(lab, authority, "/api/v1/namespaces/default/serviceaccounts/default") is not None


def outdated_pods(lab: Lab, authority: Authority, since: float) -> list[str]:
    """Namespace and name of the pods that are called ready although a container of theirs started before `since`."""
    pods = get(lab, authority, "/api/v1/pods") or {"items": []}
    found: list[str] = []
    for pod in pods["items"]:
        ready = any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
        running = [status.get("state", {}).get("running") for status in pod["status"].get("containerStatuses", [])]
        started = [datetime.datetime.fromisoformat(state["startedAt"]).timestamp() for state in running if state]
        if ready and any(moment < int(since) for moment in started):
            found.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
    return found


def has_default_class(lab: Lab, authority: Authority) -> bool:
    """Whether the lab's storage class is there, which stands for all objects of the add-ons."""
    return get(lab, authority, "/apis/storage.k8s.io/v1/storageclasses/standard") is not None


def apply(kubectl: Path, lab: Lab, manifest: str) -> None:
    """Server-side apply of a manifest. Raises LabError with what kubectl says."""
    command = [str(kubectl), "--kubeconfig", str(lab.kubeconfig), "apply", "--server-side", "--force-conflicts"]
    result = subprocess.run(
        [*command, "--field-manager=addressbook-lab", "-f", "-"], input=manifest, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise LabError(f"The add-ons' rights and storage class can't be applied: {result.stderr.strip()}")
