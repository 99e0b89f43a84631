"""Compare whether programs declare the same resources: type, name and inputs.

Some differences are expected and ignored. Components only group resources and appear in their children's URNs. The
image's tag depends on the build context, which is a different folder for each program. Generated names depend on the
URN.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.plugins.properties import SECRET_SIGNATURE, SIGNATURE_KEY

NO_RESOURCES = ("pulumi:pulumi:Stack", "delivery:", "addressbook:")
IMAGE = "docker:index/image:Image"
TAG_AND_FOLDER = {"imageName", "build.context", "build.dockerfile", "build.args.VERSION"}
GENERATED = "metadata.annotations.pulumi.com/autonamed"
GENERATED_NAME = "metadata.name"
#: Key and value that mark a secret in Pulumi's property values.
SECRET = (SIGNATURE_KEY, SECRET_SIGNATURE)
NOTHING = "(nothing)"


@dataclass(frozen=True)
class Declared:
    """A declared resource; ``inputs`` by path, such as ``spec.ports[0].port``."""

    kind: str
    name: str
    inputs: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, name: str, inputs: Any) -> Declared:
        found = dict(_leaves(inputs, ""))
        left_out = TAG_AND_FOLDER if kind == IMAGE else {GENERATED_NAME} if GENERATED in found else set()
        return cls(kind, name, {path: value for path, value in found.items() if path not in left_out})

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"


def registered(printed: str) -> list[Declared]:
    """Return the resources in the output of benchmarks.declare."""
    return _resources((each["type"], each["name"], each["inputs"]) for each in json.loads(printed))


def previewed(preview: str) -> list[Declared]:
    """Return the resources that a preview would create."""
    states = [step["newState"] for step in json.loads(preview)["steps"]]
    return _resources((each["type"], each["urn"].rpartition("::")[2], each.get("inputs", {})) for each in states)


def differences(these: Sequence[Declared], those: Sequence[Declared]) -> list[str]:
    """Return how ``those`` differ from ``these``, one line for each resource or input."""
    here, there = ({each.title: each for each in declared} for declared in (these, those))
    counts = [Counter(each.title for each in declared) for declared in (these, those)]
    found = [f"{title} is more" for title in sorted(counts[1] - counts[0])]
    found += [f"{title} is missing" for title in sorted(counts[0] - counts[1])]
    for title in sorted(here.keys() & there.keys()):
        one, other = here[title].inputs, there[title].inputs
        found += [
            f"{title} has {path} = {other.get(path, NOTHING)!r} instead of {one.get(path, NOTHING)!r}"
            for path in sorted(one.keys() | other.keys())
            if one.get(path, NOTHING) != other.get(path, NOTHING)
        ]
    return found


def _resources(found: Iterator[tuple[str, str, Any]]) -> list[Declared]:
    return [Declared.of(*each) for each in found if not each[0].startswith(NO_RESOURCES)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every leaf; an empty collection is a leaf."""
    if isinstance(value, Mapping) and value.get(SECRET[0]) == SECRET[1]:
        yield from _leaves(value.get("value"), f"{path} (secret)")
    elif isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value
