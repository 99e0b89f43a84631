"""Differences between what Git says, what the stack file says, what was deployed and what the cluster has."""

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

from contract.project import declared_defaults
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.git import committed_text, is_in_git
from promotion.state.history import (
    BUILD_AHEAD,
    SECRET,
    SUCCEEDED,
    Change,
    Update,
    changes_text,
    differences,
    normal_form,
    short,
)
from promotion.state.stack_file import StackFile

Between = Literal["git and file", "file and deployed", "deployed and cluster"]

#: Keys that say nothing about what runs, so that no update is needed when they change.
RECORDS = ("canaryVerdict", BUILD_AHEAD)
#: What the engine writes in place of a secret or of what it does not know, by these keys.
SIGNATURE = "4dabf18193072939515e22adb298388d"
READERS = 8
METADATA_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: Fields of an object that are compared; a Secret's data is not read.
COMPARED = ("spec", "data")
#: Annotation of workloads whose resources GKE Autopilot has set as it wants them.
ADJUSTED = "autopilot.gke.io/resource-adjustment"
#: Fields that the cluster never adds to by itself, and ones that it never adds.
WHOLE = frozenset({"selector", "matchLabels", "data", "nodeSelector"})
NEVER_ADDED = frozenset({"env", "envFrom", "command", "args", "nodeSelector"})


@dataclass(frozen=True)
class Drift:
    """A difference: a sentence, and how to resolve it."""

    between: Between
    what: str
    remedy: str


def git_drift(file: StackFile) -> list[Drift]:
    """What the stack file says and Git's HEAD does not."""
    name, before = file.path.name, committed_text(file)
    if not is_in_git(file):
        return []
    if before is None:
        return [Drift("git and file", f"{name} is not in Git, so nobody else knows what runs", f"`git add {name}`")]
    # Defaults on both sides: a key that is written out with its default changes nothing.
    said = differences(_whole(file.values(before)), _whole(file.values()))
    if not said:
        return []
    what = f"{name} is edited and not committed: {', '.join(changes_text(said))}"
    return [Drift("git and file", what, f"commit {name}, or restore it from Git")]


def config_drift(file: StackFile, last: Update | None, stack: str) -> list[Drift]:
    """What the stack file says and the last update did not deploy."""
    up = f"`python -m promotion up --stack {stack}`"
    if last is None:
        return []
    found: list[Drift] = []
    if last.result != SUCCEEDED:
        what = (
            f"the last update ({last.message or 'without a message'}) {last.result}, so its config is deployed in part"
        )
        found.append(Drift("file and deployed", what, f"mend what it failed on and run {up}, or roll back"))
    secret = {key for key, value in last.config.items() if value == SECRET}
    deployed = {key: value for key, value in last.config.items() if key not in secret}
    wanted = {key: value for key, value in _whole(file.values()).items() if key not in secret}
    changed = [change for change in differences(deployed, wanted) if change.key not in RECORDS]
    if changed:
        what = f"{file.path.name} says what is not deployed: {', '.join(changes_text(changed))}"
        found.append(Drift("file and deployed", what, f"{up} deploys it"))
    return found


def _whole(values: Mapping[str, str]) -> dict[str, str]:
    return {
        **{key: normal_form(value) for key, value in declared_defaults().items()},
        **{k: normal_form(v) for k, v in values.items()},
    }


def cluster_drift(cluster: Cluster, state: Mapping[str, Any], stack: str) -> list[Drift]:
    """What the engine's state has and the cluster does not, or has otherwise: changed or deleted by hand.

    Raises UnreachableError when the cluster does not answer.
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
    up = f"`python -m promotion up --stack {stack}` takes it back"
    return [found for declared, there in zip(mine, live, strict=True) for found in _drift_of(declared, there, up)]


def _drift_of(declared: Mapping[str, Any], there: Mapping[str, Any] | None, up: str) -> list[Drift]:
    """Every way in which the cluster's object is not as it was declared; ``up`` says what takes most of it back."""
    where = f"{declared['kind']} {_name(declared)}"
    if there is None:
        return [Drift("deployed and cluster", f"{where} was deleted from the cluster", up)]
    adjusted = ADJUSTED in (there.get("metadata", {}).get("annotations") or {})
    unread = ("data",) if declared["kind"] == "Secret" else ()
    changes = [
        change
        for field in COMPARED
        if field in declared and field not in unread
        for change in changed_fields(declared[field], there.get(field), f"/{field}")
        if not (adjusted and "/resources" in change.key)
    ]
    found: list[Drift] = []
    for change in changes:
        field, now = _dotted(change.key), short(change.after) or "(gone)"
        if change.before:
            what = f"{where} was changed: {field} is {now} in the cluster and was deployed as {short(change.before)}"
            found.append(Drift("deployed and cluster", what, up))
        else:
            what = f"{where} was changed: {field} ({now}) was added in the cluster"
            found.append(Drift("deployed and cluster", what, _removed(declared, change.key)))
    return found


def _removed(declared: Mapping[str, Any], pointer: str) -> str:
    """How to take out what somebody added: server-side apply leaves alone what it did not write."""
    patch = json.dumps([{"op": "remove", "path": pointer}])
    kind, namespace = str(declared["kind"]).lower(), declared["metadata"]["namespace"]
    return (
        "an update leaves alone what others added:"
        f" `kubectl patch {kind} {_name(declared)} -n {namespace} --type=json -p '{patch}'` takes it out"
    )


def _dotted(pointer: str) -> str:
    """``/spec/containers/0/image`` as people write it: spec.containers[0].image."""
    return re.sub(r"/(\d+)(?=/|$)", r"[\1]", pointer).strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~")


def _namespaced(declared: Mapping[str, Any], namespace: str) -> bool:
    return declared.get("metadata", {}).get("namespace") == namespace


def _name(declared: Mapping[str, Any]) -> str:
    return str(declared["metadata"].get("name") or "")


def _live(cluster: Cluster, declared: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object as the cluster has it; None where it is gone, what was declared where it may not be read."""
    version, kind = str(declared["apiVersion"]), str(declared["kind"]).lower()
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    path = f"{root}/namespaces/{cluster.namespace}/{plural}/{_name(declared)}"
    client = cast(Any, cluster.api)
    # Whether a Secret is there is all that is asked of it.
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


def changed_fields(declared: Any, live: Any, path: str) -> list[Change]:
    """Declared values that the cluster has otherwise, and what was added where the cluster itself adds nothing.

    The keys are JSON pointers (RFC 6901) below ``path``; ``before`` is "" for what was added.
    """
    if isinstance(declared, dict):
        wanted = cast(dict[str, Any], declared)
        if SIGNATURE in wanted:
            return []
        there = cast(dict[str, Any], live) if isinstance(live, dict) else {}
        whole = path.rpartition("/")[2] in WHOLE
        more = [key for key, value in there.items() if key not in wanted and value and (whole or key in NEVER_ADDED)]
        return [
            *(
                Change(f"{path}/{_escaped(key)}", "", there[key] if isinstance(there[key], str) else "set")
                for key in more
            ),
            *(
                change
                for key, value in wanted.items()
                if not key.startswith("__")
                for change in changed_fields(value, there.get(key), f"{path}/{_escaped(key)}")
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
    """Whether two values mean the same: "0.5" and "500m" do, and an empty value is as good as none."""
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
    """Tracks whose image is not pinned in the config, so that the next update builds it anew."""
    built = ["stable"] if not config.get("stableImage") else []
    return [*built, *(["canary"] if config.get("canaryImage") == "source" else [])]
