"""Why a pod isn't ready, in the words of its conditions and container states."""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.objects import metadata, name_of, namespace_of
from lab.plugins.properties import Properties


def condition(obj: Properties, kind: str) -> Properties:
    """A condition of the object's status, empty if it has none of that type."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return entry
    return {}


def holds(obj: Properties, kind: str) -> bool:
    return condition(obj, kind).get("status") == "True"


def qualified(obj: Properties) -> str:
    """`namespace/name`, without a namespace that is `default`."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace not in ("", "default") else name_of(obj)


def owned_by(obj: Properties, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in metadata(obj).get("ownerReferences") or [])


def selector(labels: Properties) -> str:
    """A label selector in a request's form, from a LabelSelector."""
    parts = [f"{key}={value}" for key, value in (labels.get("matchLabels") or {}).items()]
    operators = {"In": " in ", "NotIn": " notin "}
    for expression in labels.get("matchExpressions") or []:
        key, operator = expression["key"], expression["operator"]
        if operator in operators:
            parts.append(f"{key}{operators[operator]}({','.join(expression['values'])})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts)


def is_ready(pod: Properties) -> bool:
    return holds(pod, "Ready") or (pod.get("status") or {}).get("phase") == "Succeeded"


def problems(pod: Properties) -> list[str]:
    """What keeps the pod from being ready: not scheduled, an image that can't be pulled, a crash, a failing probe."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") != "True":
        return [f"[Pod {qualified(pod)}]: {scheduled.get('message') or scheduled.get('reason')}"]
    if is_ready(pod):
        return []
    status = pod.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    states = "".join(_container_problem(each) for each in statuses if not _done(each))
    ready = condition(pod, "Ready")
    if not states and not ready.get("message"):
        return []
    return [f"[Pod {qualified(pod)}]: {ready.get('message') or ''}{states}"]


def _done(status: Any) -> bool:
    terminated = (status.get("state") or {}).get("terminated") or {}
    return bool(status.get("ready")) or terminated.get("reason") == "Completed"


def _container_problem(status: Any) -> str:
    text = ""
    state = status.get("state") or {}
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        text += f"[{waiting.get('reason')}] {waiting.get('message') or ''}"
    if terminated and terminated.get("reason"):
        if terminated.get("message"):
            text += f"[{terminated['reason']}] {terminated['message']}"
        else:
            text += f'container "{status["name"]}" completed with exit code {terminated.get("exitCode")}'
    last = (status.get("lastState") or {}).get("terminated")
    if last:
        text += (
            f'container "{status["name"]}" terminated at {last.get("finishedAt")} '
            f"({last.get('reason')}: exit code {last.get('exitCode')})"
        )
        text += f": {last['message']}" if last.get("message") else ""
    return text
