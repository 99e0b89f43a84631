"""The steps of an update in a canonical form, so that two previews can be compared by a digest.

The lines depend on the stack, its state and its config only. They contain no secret, and nothing that differs between
two runs or two machines: no value that a provider chooses, and no version of a plugin.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any, cast

from pulumi.automation.events import StepEventMetadata
from pulumi.runtime.rpc import UNKNOWN

from promotion.state.stack_state import TAG

#: What the Pulumi SDK's tagged values are (sdk/go/common/resource in pulumi/pulumi).
SENSITIVE_TAG = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT_TAG = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
#: Placeholders of values that must not, or cannot, be shown.
SECRET, UNKNOWN_VALUE, MISSING = "[secret]", "[unknown]", "(none)"
#: Inputs of a provider resource that depend on the machine: its plugin, and the path of its kubeconfig.
MACHINE_INPUTS = ("version", "pluginDownloadURL", "kubeconfig")
#: Annotation of a Kubernetes object whose name the provider chose.
AUTONAMED = "pulumi.com/autonamed"
#: A key that a property path can contain without quotes.
PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$-]*")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def step_lines(operation: str, metadata: StepEventMetadata) -> tuple[str, ...]:
    """Return a step as text: ``OPERATION URN``, then one indented line for each property that changes.

    An update of a provider that changes only machine-dependent inputs has no lines.
    """
    heading = f"{operation} {metadata.urn}"
    if operation == "delete":
        return (heading,)
    ignored = MACHINE_INPUTS if metadata.type.startswith("pulumi:providers:") else ()
    new = dict(_leaves(_without(metadata.new.inputs if metadata.new else {}, ignored)))
    if operation == "create":
        return heading, *(f"  {path}: {new[path]}" for path in sorted(new))
    old = dict(_leaves(_without(metadata.old.inputs if metadata.old else {}, ignored)))
    changes = {
        path: f"{old.get(path, MISSING)} -> {new.get(path, MISSING)}"
        for path in {*old, *new}
        if old.get(path) != new.get(path)
    }
    # A changed secret looks the same before and after: only the provider knows that it differs.
    for path in metadata.detailed_diff or metadata.diffs or ():
        if not path.startswith("__") and path not in ignored and not any(_overlap(path, each) for each in changes):
            changes[path] = "changed"
    if operation == "update" and ignored and not changes:
        return ()
    return heading, *(f"  {path}: {changes[path]}" for path in sorted(changes))


def digest_of_steps(steps: Sequence[str]) -> str:
    """Return ``sha256:HEX``, the digest of the lines, each with its line end."""
    return "sha256:" + hashlib.sha256("".join(f"{line}\n" for line in steps).encode()).hexdigest()


def steps_difference(reviewed: Sequence[str], current: Sequence[str]) -> str:
    """Return both lists as a diff: ``-`` is only in the reviewed steps, ``+`` only in the current ones."""
    lines = len(reviewed) + len(current)  # show both lists in full, not only the lines around a difference
    return "\n".join(unified_diff(reviewed, current, "reviewed", "now", n=lines, lineterm=""))


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the JSON text of each value inside ``value``."""
    value = _shown(value)
    if isinstance(value, Mapping) and value:
        properties = cast(Mapping[str, object], value)
        for key in properties:
            yield from _leaves(properties[key], f"{path}{_step(key, path)}")
    elif isinstance(value, list) and value:
        for number, each in enumerate(cast(list[object], value)):
            yield from _leaves(each, f"{path}[{number}]")
    elif path:
        yield path, value if value in (SECRET, UNKNOWN_VALUE) else json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> object:
    """Return the value without secrets, values that the provider chose, and its internal keys (``__provider``)."""
    if value == UNKNOWN:
        return UNKNOWN_VALUE
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, Mapping):
        return value
    properties = cast(Mapping[str, Any], value)
    match properties.get(TAG):
        case None:
            chosen = [*(properties.get("__defaults") or ())]
            if AUTONAMED in (properties.get("annotations") or {}):  # Kubernetes: the metadata of an object
                chosen.append("name")
            return {key: each for key, each in properties.items() if not key.startswith("__") and key not in chosen}
        case tag if tag == SENSITIVE_TAG or (tag == OUTPUT_TAG and properties.get("secret")):
            return SECRET
        case tag if tag == OUTPUT_TAG:
            return _shown(properties.get("value", UNKNOWN))
        case _:  # a file or an archive has its content's hash, beside the path on this machine
            return str(properties.get("hash") or properties.get("urn") or properties.get("uri"))


def _without(inputs: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in (inputs or {}).items() if key not in keys}


def _step(key: str, path: str) -> str:
    """Return the part of a property path that leads to ``key``, as the engine writes it."""
    if PLAIN_KEY.fullmatch(key):
        return f".{key}" if path else key
    return f"[{json.dumps(key, ensure_ascii=False)}]"


def _overlap(path: str, other: str) -> bool:
    """Return whether one of two property paths leads to, or into, the other's value."""
    shorter, longer = sorted((path, other), key=len)
    return longer.startswith(shorter) and longer[len(shorter) : len(shorter) + 1] in ("", ".", "[")
