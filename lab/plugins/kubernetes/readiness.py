"""Which look tells whether an object is ready: by its annotations, else by its kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.plugins.kubernetes import pods
from lab.plugins.kubernetes.awaiting import Look, State
from lab.plugins.kubernetes.cluster import ApiError, Cluster
from lab.plugins.kubernetes.networking import NETWORKING, IngressReadiness, ServiceReadiness
from lab.plugins.kubernetes.objects import annotated, annotation
from lab.plugins.kubernetes.workloads import WORKLOADS
from lab.plugins.properties import Properties, Value

SKIP = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"
_JSON_PATH = re.compile(r"jsonpath=\{?(?P<path>[^}=]+)\}?(?:=(?P<value>.+))?", re.DOTALL)
_PATH_PART = re.compile(r"""\.(?P<name>(?:\\.|[^.\[\]\\])+)|\[(?P<index>\d+|\*)\]|\[['"](?P<quoted>[^'"]+)['"]\]""")


class WaitForError(Exception):
    """The annotation pulumi.com/waitFor can't be understood, in one sentence."""


@dataclass(frozen=True)
class ClaimReadiness:
    """A PersistentVolumeClaim is ready once bound; one that is bound for its first pod only is so at once."""

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        phase = (live.get("status") or {}).get("phase")
        if phase == "Bound":
            return State(True)
        waits_for_pod = phase == "Pending" and self._binding_mode(live) == "WaitForFirstConsumer"
        reason = f"PersistentVolumeClaim is {phase or 'not seen yet'}"
        return State(waits_for_pod, "Waiting for PersistentVolumeClaim to be bound", problems=lambda: [reason])

    def _binding_mode(self, live: Properties) -> str:
        name = live["spec"].get("storageClassName")
        if not name:
            return ""
        try:
            return self.cluster.get("storage.k8s.io/v1", "StorageClass", "", name).get("volumeBindingMode") or ""
        except ApiError as error:
            if error.not_found:
                return ""
            raise


def _volume(live: Properties) -> State:
    phase = (live.get("status") or {}).get("phase")
    return State(phase in ("Available", "Bound"), "Waiting for PersistentVolume to be available")


def _quota(live: Properties) -> State:
    hard = (live.get("spec") or {}).get("hard")
    return State((live.get("status") or {}).get("hard") == hard, "Waiting for ResourceQuota to take effect")


def _secret(live: Properties) -> State:
    """A service account's token is put into its Secret by a controller."""
    token = live.get("type") == "kubernetes.io/service-account-token"
    return State(not token or bool(live.get("data")), "Waiting for the token")


def _definition(live: Properties) -> State:
    return State(pods.holds(live, "Established"), "Waiting for the API server to serve the new kind")


_BY_KIND: dict[tuple[str, str], Callable[[Cluster], Look]] = {
    **WORKLOADS,
    **NETWORKING,
    ("v1", "PersistentVolumeClaim"): ClaimReadiness,
    ("v1", "PersistentVolume"): lambda _: _volume,
    ("v1", "ResourceQuota"): lambda _: _quota,
    ("v1", "Secret"): lambda _: _secret,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): lambda _: _definition,
}
# What a refresh reports as not ready; other kinds it just reads.
_AT_REFRESH: dict[tuple[str, str], Callable[[Cluster], Look]] = {
    **{key: make for key, make in _BY_KIND.items() if key in WORKLOADS and key[1] != "ReplicationController"},
    ("v1", "Service"): lambda cluster: ServiceReadiness(cluster, settling=False),
    ("networking.k8s.io/v1", "Ingress"): IngressReadiness,
}


def readiness(cluster: Cluster, inputs: Properties) -> Look | None:
    """How to tell that the object is ready; None if that isn't waited for. Raises WaitForError."""
    if annotated(inputs, SKIP):
        return None
    if wanted := annotation(inputs, WAIT_FOR):
        return _all([_expression(each) for each in _expressions(wanted)])
    kind = _BY_KIND.get((inputs.get("apiVersion") or "", inputs.get("kind") or ""))
    return kind(cluster) if kind else None


def readiness_at_refresh(cluster: Cluster, inputs: Properties) -> Look | None:
    """As `readiness`, for the kinds that a refresh looks at."""
    key = (inputs.get("apiVersion") or "", inputs.get("kind") or "")
    if annotated(inputs, SKIP) or key not in _AT_REFRESH:
        return None
    return _AT_REFRESH[key](cluster)


def skips_deletion(inputs: Properties) -> bool:
    """Whether a deletion is not waited for: the official provider heeds the annotation for the oldest kinds only."""
    key = (inputs.get("apiVersion") or "", inputs.get("kind") or "")
    return annotated(inputs, SKIP) and (key in WORKLOADS or key == ("v1", "Namespace"))


def _expressions(text: str) -> list[str]:
    try:
        expressions = json.loads(text)
    except ValueError:
        return [text]
    if not isinstance(expressions, list):
        return [text]
    if not expressions:
        raise WaitForError(f"{WAIT_FOR}: at least one condition must be specified.")
    return [str(each) for each in expressions]


def _expression(text: str) -> Look:
    if text.startswith("condition="):
        kind, _, status = text.removeprefix("condition=").partition("=")
        return _condition(kind, status or "True", text)
    if text.startswith("jsonpath="):
        match = _JSON_PATH.fullmatch(text)
        if match is None:
            raise WaitForError(f"{WAIT_FOR}: {text!r} is no JSON path as in jsonpath={{.status.phase}}=Running.")
        return _path(_steps(match["path"], text), match["value"], text)
    raise WaitForError(f'{WAIT_FOR}: expected a "jsonpath=" or "condition=" prefix, got {text!r}.')


def _condition(kind: str, status: str, text: str) -> Look:
    def look(live: Properties) -> State:
        found = next(
            (
                each
                for each in (live.get("status") or {}).get("conditions") or []
                if str(each.get("type", "")).lower() == kind.lower()
            ),
            {},
        )
        met = str(found.get("status", "")).lower() == status.lower()
        return State(met, f"Waiting for {text}", problems=lambda: [f"{text}: not met"])

    return look


def _steps(path: str, text: str) -> list[str | int]:
    """The names and indices of a JSON path; `*` for every element."""
    steps: list[str | int] = []
    position = 0
    path = path.strip() if path.strip().startswith((".", "[")) else f".{path.strip()}"
    while position < len(path):
        match = _PATH_PART.match(path, position)
        if match is None:
            raise WaitForError(
                f"{WAIT_FOR}: this stand-in understands names, [index] and [*] in a JSON path, not {text!r}."
            )
        if match["index"]:
            steps.append("*" if match["index"] == "*" else int(match["index"]))
        else:
            steps.append(re.sub(r"\\(.)", r"\1", match["name"] or match["quoted"]))
        position = match.end()
    return steps


def _path(steps: list[str | int], value: str | None, text: str) -> Look:
    def look(live: Properties) -> State:
        found = _walk([live], steps)
        met = bool(found) if value is None else bool(found) and all(_text(each) == value for each in found)
        return State(met, f"Waiting for {text}", problems=lambda: [f"{text}: not met"])

    return look


def _walk(values: list[Value], steps: list[str | int]) -> list[Value]:
    for step in steps:
        values = [each for value in values for each in _step(value, step)]
    return values


def _step(value: Value, step: str | int) -> list[Value]:
    if isinstance(value, list):
        if step == "*":
            return list(value)
        return value[step : step + 1] if isinstance(step, int) else []
    if isinstance(value, dict):
        return list(value.values()) if step == "*" else [value[step]] if step in value else []
    return []


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _all(looks: list[Look]) -> Look:
    def look(live: Properties) -> State:
        states = [each(live) for each in looks]
        pending = [state for state in states if not state.ready]
        if not pending:
            return State(True)
        return State(
            False, pending[0].progress, problems=lambda: [each for state in pending for each in state.problems()]
        )

    return look
