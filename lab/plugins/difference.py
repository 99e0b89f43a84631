"""The changes between two property trees by property path, and which of them force a replacement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from lab.plugins.properties import Properties, Value, plain

Kind: TypeAlias = Literal["add", "delete", "update"]
Path: TypeAlias = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PATH_PART = re.compile(r'\[(?:"((?:[^"\\]|\\.)*)"|(\d+|\*))\]|([^.\[\]]+)')


@dataclass
class Difference:
    """The changes of a resource: their `paths` with the kind of change, and those that force a `replace`."""

    paths: dict[Path, Kind] = field(default_factory=dict[Path, Kind])
    replace: set[Path] = field(default_factory=set[Path])
    delete_before_replace: bool = False

    def __bool__(self) -> bool:
        return bool(self.paths) or bool(self.replace)


def difference(
    old: Mapping[str, Value],
    new: Mapping[str, Value],
    *,
    replace_on: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> Difference:
    """Compare two property trees. Secrets compare by their values; an unknown value differs from all others.

    `replace_on` and `ignore` are property paths in Pulumi's syntax, with `[*]` or `*` for any index or key. A change
    at or below a path of `replace_on` forces a replacement, and so does adding or removing a parent of it. A change
    at or below a path of `ignore` does not count.
    """
    ignored = [parse_path(path) for path in ignore]
    replacing = [parse_path(path) for path in replace_on]
    found = Difference()
    olds, news = cast(Properties, plain(dict(old))), cast(Properties, plain(dict(new)))
    for path, kind in _changes((), olds, news).items():
        if any(_matches(pattern, path[: len(pattern)]) for pattern in ignored):
            continue
        found.paths[path] = kind
        whole = _at(news if kind == "add" else olds, path)
        if any(_touches(pattern, path, whole) for pattern in replacing):
            found.replace.add(path)
    return found


def _changes(path: Path, old: Value, new: Value) -> dict[Path, Kind]:
    if isinstance(old, dict) and isinstance(new, dict):
        olds, news = cast(Properties, old), cast(Properties, new)
        changes: dict[Path, Kind] = {}
        for key in [*olds, *(key for key in news if key not in olds)]:
            if key not in news:
                changes[*path, key] = "delete"
            elif key not in olds:
                changes[*path, key] = "add"
            else:
                changes |= _changes((*path, key), olds[key], news[key])
        return changes
    if isinstance(old, list) and isinstance(new, list):
        befores, afters = cast("list[Value]", old), cast("list[Value]", new)
        changes = {}
        for index in range(max(len(befores), len(afters))):
            if index >= len(afters):
                changes[*path, index] = "delete"
            elif index >= len(befores):
                changes[*path, index] = "add"
            else:
                changes |= _changes((*path, index), befores[index], afters[index])
        return changes
    # In Python, True == 1. As properties they differ.
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return {} if same else {path: "update"}


def _at(tree: Value, path: Path) -> Value:
    for part in path:
        tree = tree[part]
    return tree


def _matches(pattern: Path, path: Path) -> bool:
    return len(pattern) == len(path) and all(
        want == "*" or want == part for want, part in zip(pattern, path, strict=True)
    )


def _touches(pattern: Path, path: Path, value: Value) -> bool:
    depth = len(path)
    if depth >= len(pattern):
        return _matches(pattern, path[: len(pattern)])
    return _matches(pattern[:depth], path) and _contains(value, pattern[depth:])


def _contains(value: Value, pattern: Path) -> bool:
    if not pattern:
        return True
    first, rest = pattern[0], pattern[1:]
    if isinstance(value, dict):
        mapping = cast(Properties, value)
        inside = mapping.values() if first == "*" else [mapping[first]] if first in mapping else []
        return any(_contains(element, rest) for element in inside)
    if isinstance(value, list):
        elements = cast("list[Value]", value)
        inside = elements if first == "*" else elements[first : first + 1] if isinstance(first, int) else []
        return any(_contains(element, rest) for element in inside)
    return False


def format_path(path: Path) -> str:
    """Return a property path in Pulumi's syntax: `spec.containers[0].image`, `metadata.labels["app.io/name"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def parse_path(text: str) -> Path:
    """Return the parts of a property path in Pulumi's syntax. `*` stays `*`."""
    parts: list[str | int] = []
    for quoted, index, key in _PATH_PART.findall(text):
        if quoted:
            parts.append(re.sub(r"\\(.)", r"\1", quoted))
        elif index:
            parts.append(index if index == "*" else int(index))
        else:
            parts.append(key)
    return tuple(parts)
