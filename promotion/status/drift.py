"""Differences between Git, the stack file, the last deployment and the cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, cast

import urllib3
from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType] without types

from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.git import committed_text, is_in_git
from promotion.state.history import (
    RECORDS,
    SECRET,
    SUCCEEDED,
    Change,
    Update,
    changes_text,
    differences,
    flattened,
    short,
    with_defaults,
)
from promotion.state.stack_file import StackFile
from promotion.state.stack_state import TAG

Between = Literal["git and file", "file and deployed", "deployed and cluster"]

#: Objects read at the same time.
READERS = 8
#: Media type of an answer without the object's content: only the existence of a Secret matters.
METADATA_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: Fields of an object that are compared; a Secret's data is not read.
COMPARED = ("spec", "data")
#: Annotation of workloads whose resources GKE Autopilot has adjusted.
ADJUSTED = "autopilot.gke.io/resource-adjustment"
#: Fields that the cluster never extends, and fields that it never adds.
WHOLE = frozenset({"selector", "matchLabels", "data", "nodeSelector"})
NEVER_ADDED = frozenset({"env", "envFrom", "command", "args", "nodeSelector"})


@dataclass(frozen=True)
class Drift:
    """A difference, and how to resolve it.

    ``what`` may show values, such as a variable of a pod. ``summary`` says the same without them, for places that more
    people may read; "" if ``what`` shows none.
    """

    between: Between
    what: str
    remedy: str
    summary: str = ""


def git_drift(file: StackFile) -> list[Drift]:
    """Compare the stack file with Git's HEAD."""
    name, before = file.path.name, committed_text(file)
    if not is_in_git(file):
        return []
    if before is None:
        return [Drift("git and file", f"{name} is not in Git, so others cannot see what runs", f"`git add {name}`")]
    # Defaults on both sides: writing out a default changes nothing.
    changes = differences(with_defaults(file.values(before)), with_defaults(file.values()))
    if not changes:
        return []
    what = f"{name} has uncommitted changes: "
    remedy = f"commit {name}, or restore it from Git"
    return [Drift("git and file", what + ", ".join(changes_text(changes)), remedy, what + _keys(changes))]


def kept_image(file: StackFile, last: Update | None) -> str:
    """Return the argument with which `up` keeps stable's deployed image, if the stack file has another one."""
    deployed = last.config.get("stableImage", "") if last else ""
    return f" --set stableImage={deployed}" if deployed and deployed != file.values().get("stableImage") else ""


def config_drift(
    file: StackFile, last: Update | None, stack: str, ignored: Sequence[str] = (), kept: str = ""
) -> list[Drift]:
    """Compare the stack file with the config of the last update, except for the ``ignored`` keys.

    ``kept`` are arguments of the remedy, `up`.
    """
    up = f"`python -m promotion up --stack {stack}{kept}`"
    if last is None:
        return []
    drift: list[Drift] = []
    if last.result != SUCCEEDED:
        what = f"the last update ({last.message or 'no message'}) {last.result}, so its config is only partly deployed"
        drift.append(Drift("file and deployed", what, f"fix the cause and run {up}, or roll back"))
    secret = {key for key, value in last.config.items() if value == SECRET}
    deployed = {key: value for key, value in last.config.items() if key not in secret}
    wanted = {key: value for key, value in with_defaults(file.values()).items() if key not in secret}
    changed = [change for change in differences(deployed, wanted) if change.key not in (*RECORDS, *ignored)]
    if changed:
        what = f"{file.path.name} has changes that are not deployed: "
        text, summary = what + ", ".join(changes_text(changed)), what + _keys(changed)
        drift.append(Drift("file and deployed", text, f"{up} deploys them", summary))
    return drift


def _keys(changes: Sequence[Change]) -> str:
    return ", ".join(change.key for change in flattened(changes))


def cluster_drift(cluster: Cluster, state: Mapping[str, Any], stack: str, kept: str = "") -> list[Drift]:
    """Compare the engine's state with the cluster, and return manual changes and deletions.

    ``kept`` are arguments of the remedy, `up`.
    Raises UnreachableError if the cluster does not answer.
    """
    resources = cast(list[dict[str, Any]], state.get("resources") or [])
    objects = [
        cast(dict[str, Any], resource["inputs"])
        for resource in resources
        if str(resource["type"]).startswith("kubernetes:")
        and resource.get("inputs", {}).get("kind")
        and not resource.get("delete")
    ]
    mine = [each for each in objects if _namespaced(each, cluster.namespace) and _name(each)]
    with ThreadPoolExecutor(READERS) as readers:
        live = list(readers.map(partial(_live, cluster), mine))
    up = f"`python -m promotion up --stack {stack}{kept}` reverts it"
    return [drift for pair in zip(mine, live, strict=True) for drift in _drift_of(*pair, up)]


def _drift_of(declared: Mapping[str, Any], live: Mapping[str, Any] | None, revert: str) -> list[Drift]:
    """Compare an object in the cluster with its declaration; ``revert`` is the remedy for all but additions."""
    where = f"{declared['kind']} {_name(declared)}"
    if live is None:
        return [Drift("deployed and cluster", f"{where} was deleted from the cluster", revert)]
    adjusted = ADJUSTED in (live.get("metadata", {}).get("annotations") or {})
    unread = ("data",) if declared["kind"] == "Secret" else ()
    changes = [
        change
        for field in COMPARED
        if field in declared and field not in unread
        for change in changed_fields(declared[field], live.get(field), f"/{field}")
        if not (adjusted and "/resources" in change.key)
    ]
    drift: list[Drift] = []
    for change in changes:
        field, now = f"{where} was changed: {_dotted(change.key)}", short(change.after) or "(gone)"
        if change.before:
            what = f"{field} is {now} in the cluster and was deployed as {short(change.before)}"
            drift.append(Drift("deployed and cluster", what, revert, f"{field} differs in the cluster"))
        else:
            summary, remedy = f"{field} was added in the cluster", _removal(declared, change.key)
            drift.append(Drift("deployed and cluster", f"{field} ({now}) was added in the cluster", remedy, summary))
    return drift


def _removal(declared: Mapping[str, Any], pointer: str) -> str:
    """Return the command that removes an addition, since server-side apply keeps fields that it did not write."""
    patch = json.dumps([{"op": "remove", "path": pointer}])
    kind, namespace = str(declared["kind"]).lower(), declared["metadata"]["namespace"]
    return f"`kubectl patch {kind} {_name(declared)} -n {namespace} --type=json -p '{patch}'` removes it; `up` does not"


def _dotted(pointer: str) -> str:
    """Write ``/spec/containers/0/image`` as spec.containers[0].image."""
    return re.sub(r"/(\d+)(?=/|$)", r"[\1]", pointer).strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~")


def _namespaced(declared: Mapping[str, Any], namespace: str) -> bool:
    return declared.get("metadata", {}).get("namespace") == namespace


def _name(declared: Mapping[str, Any]) -> str:
    return str(declared["metadata"].get("name") or "")


def _live(cluster: Cluster, declared: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the object from the cluster; None if it is gone, its declaration if the credentials may not read it."""
    version, kind = str(declared["apiVersion"]), str(declared["kind"]).lower()
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{root}/namespaces/{cluster.namespace}/{plural(kind)}/{_name(declared)}"
    client = cast(Any, cluster.api)
    headers = {"Accept": METADATA_ALONE if kind == "secret" else "application/json"}
    try:
        answer = client.call_api(
            *client.param_serialize("GET", path, header_params=headers, auth_settings=["BearerToken"])
        )
        text = answer.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"the cluster does not answer: {error}") from None
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    return cast(Mapping[str, Any], json.loads(text)) if answer.status == HTTPStatus.OK else declared


def plural(kind: str) -> str:
    """Return the name of a kind's resource in the API's paths, by the English rules that Kubernetes follows."""
    kind = kind.lower()
    if re.search(r"[^aeiou]y$", kind):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("s", "x", "ch", "sh")) else f"{kind}s"


def changed_fields(declared: Any, live: Any, path: str) -> list[Change]:
    """Return declared values that differ in the cluster, and additions that the cluster itself never makes.

    The keys are JSON pointers (RFC 6901) below ``path``; ``before`` is "" for an addition.
    """
    if isinstance(declared, dict):
        wanted = cast(dict[str, Any], declared)
        if TAG in wanted:
            return []
        actual = cast(dict[str, Any], live) if isinstance(live, dict) else {}
        whole = path.rpartition("/")[2] in WHOLE
        added = [key for key, value in actual.items() if key not in wanted and value and (whole or key in NEVER_ADDED)]
        return [
            *(
                Change(f"{path}/{_escaped(key)}", "", actual[key] if isinstance(actual[key], str) else "set")
                for key in added
            ),
            *(
                change
                for key, value in wanted.items()
                if not key.startswith("__")
                for change in changed_fields(value, actual.get(key), f"{path}/{_escaped(key)}")
            ),
        ]
    if isinstance(declared, list):
        items = cast(list[Any], declared)
        others = cast(list[Any], live) if isinstance(live, list) else []
        changes = [
            change
            for number, value in enumerate(items)
            for change in changed_fields(value, others[number] if number < len(others) else None, f"{path}/{number}")
        ]
        if len(others) > len(items):
            changes.append(Change(path, f"{len(items)} entries", f"{len(others)} entries"))
        return changes
    if _alike(declared, live):
        return []
    return [Change(path, _text(declared), _text(live))]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _alike(declared: Any, live: Any) -> bool:
    """Return whether two values mean the same, such as "0.5" and "500m", or an empty value and none."""
    if declared == live or (not declared and not live):
        return True
    if isinstance(declared, str) and isinstance(live, str):
        try:
            return parse_quantity(declared) == parse_quantity(live)
        except ValueError:
            return False
    return False


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def unpinned(config: Mapping[str, str]) -> Sequence[str]:
    """Return the tracks without a pinned image in the config: the next update builds them again."""
    built = ["stable"] if not config.get("stableImage") else []
    return [*built, *(["canary"] if config.get("canaryImage") == "source" else [])]
