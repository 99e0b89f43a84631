"""Why a pod is not ready, from its conditions and container states."""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.objects import metadata, name_of, namespace_of
from lab.plugins.properties import Properties


def condition(obj: Properties, kind: str) -> Properties:
    """Return a condition of the object's status, empty if there is none of that type."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def has_condition(obj: Properties, kind: str) -> bool:
    return condition(obj, kind).get("status") == "True"


def qualified_name(obj: Properties) -> str:
    """Return `namespace/name`, or `name` in the namespace `default`."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace not in ("", "default") else name_of(obj)


def is_owned(obj: Properties, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in metadata(obj).get("ownerReferences") or [])


def selector(workload: Properties) -> str:
    """Return a workload's selector as a request has it."""
    labels = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def problems(pod: Properties) -> list[str]:
    """Return what keeps the pod from being ready: scheduling, an image, a crash, a failing probe."""
    status = pod.get("status") or {}
    scheduled, ready = condition(pod, "PodScheduled"), condition(pod, "Ready")
    if scheduled and scheduled.get("status") != "True":
        return [f"[Pod {qualified_name(pod)}]: {scheduled.get('message') or scheduled.get('reason')}"]
    if ready.get("status") == "True" or status.get("phase") == "Succeeded":
        return []
    statuses = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    text = (ready.get("message") or "") + "".join(_container_problem(each) for each in statuses if not _is_done(each))
    return [f"[Pod {qualified_name(pod)}]: {text}"] if text else []


def _is_done(status: Any) -> bool:
    terminated = (status.get("state") or {}).get("terminated") or {}
    return bool(status.get("ready")) or terminated.get("reason") == "Completed"


def _container_problem(status: Any) -> str:
    text, state = "", status.get("state") or {}
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        text += f"[{waiting.get('reason')}] {waiting.get('message') or ''}"
    if terminated and terminated.get("reason"):
        if terminated.get("message"):
            text += f"[{terminated['reason']}] {terminated['message']}"
        else:
            text += f'container "{status["name"]}" completed with exit code {terminated.get("exitCode")}'
    if last := (status.get("lastState") or {}).get("terminated"):
        text += (
            f'container "{status["name"]}" terminated at {last.get("finishedAt")} '
            f"({last.get('reason')}: exit code {last.get('exitCode')})"
        )
        text += f": {last['message']}" if last.get("message") else ""
    return text
