"""Edit one key of a stack file at the parser's positions; every other character stays.

A library that rewrites the whole document, such as ruamel.yaml, changes spaces, line ends and folded lines of other
keys, and drops the comments after a deleted key. The diff of a promotion must contain only the release's lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from yaml.nodes import CollectionNode, MappingNode, Node

from contract.project import declared_defaults
from promotion.state.engine_yaml import compose, pairs, value_of

#: New value of each key as text, objects and arrays as JSON; None removes the key.
Edits = Mapping[str, str | None]


@dataclass(frozen=True)
class Entry:
    """A key as it is ``written`` in the file, with its node and its value's."""

    written: str
    key: Node
    value: Node


def with_key(
    text: str, root: MappingNode | None, entries: Mapping[str, Entry], prefix: str, key: str, value: str | None
) -> str:
    """Return the text with one key changed. ``entries`` are the project's keys; ``prefix`` begins a new key."""
    config = pairs(root).get("config") if root else None
    entry = entries.get(key)
    if value is None:
        return _without(text, config[1], entry) if config and entry else text
    if entry:
        return _with_value(text, entry, value)
    line_end = "\r\n" if "\r\n" in text else "\n"
    if config and isinstance(config[1], MappingNode) and config[1].value:
        return _with_new_key(text, config[1], entries, prefix, key, value, line_end)
    line = f"  {prefix}{key}: {_written(value)}"
    if config:  # its value is empty: `config:` or `config: {}`
        start, end = _span(text, config[1])
        before = text[:start].rstrip(" ") if end > start else text[:start]
        return _with_line(before + text[end:], len(before), line, line_end)
    end = _end(text, root.value[-1][1]) if root and root.value else len(text)
    return _with_line(text, end, f"config:{line_end}{line}", line_end)


def _with_value(text: str, entry: Entry, value: str) -> str:
    """Return the text with another value. A value on a line below its key moves to the key's line."""
    start, end = _span(text, entry.value)
    comment = ""
    if entry.value.start_mark.line > entry.key.end_mark.line:
        colon = text.index(":", entry.key.end_mark.index) + 1
        match = re.match(r"[ \t]*#[^\r\n]*", text[colon:])
        start, comment = colon, match[0] if match else ""
    gap = "" if text[start - 1 : start].isspace() else " "
    return f"{text[:start]}{gap}{_written(value)}{comment}{text[end:]}"


def _with_new_key(
    text: str,
    config: MappingNode,
    entries: Mapping[str, Entry],
    prefix: str,
    key: str,
    value: str,
    line_end: str,
) -> str:
    """Return the text with a new key, in the order of Pulumi.yaml and written like its neighbour."""
    order = list(declared_defaults())
    rank = order.index(key) if key in order else len(order)
    earlier = [name for name in entries if name not in order or order.index(name) < rank]
    neighbour = earlier[-1] if earlier else next(iter(entries), "")
    key_node, value_node = config.value[-1]
    quote = ""
    if neighbour:
        key_node, value_node = entries[neighbour].key, entries[neighbour].value
        prefix = entries[neighbour].written.removesuffix(neighbour)
        quote = getattr(key_node, "style", "") or ""
    new = f"{quote}{prefix}{key}{quote}: {_written(value)}"
    if config.flow_style:
        end = _end(text, value_node)
        return f"{text[:end]}, {new}{text[end:]}"
    line = " " * key_node.start_mark.column + new
    if neighbour and not earlier:
        start = text.rfind("\n", 0, key_node.start_mark.index) + 1
        return f"{text[:start]}{line}{line_end}{text[start:]}"
    return _with_line(text, _end(text, value_node), line, line_end)


def _without(text: str, config: Node, entry: Entry) -> str:
    """Return the text without a key: without its lines or, in braces, without it and a comma."""
    start, end = entry.key.start_mark.index, _end(text, entry.value)
    if not (isinstance(config, CollectionNode) and config.flow_style):
        return text[: text.rfind("\n", 0, start) + 1] + text[_line_end(text, end) :]
    if comma := re.match(r"\s*,\s*", text[end:]):
        return text[:start] + text[end + comma.end() :]
    return re.sub(r"\s*,\s*$", "", text[:start]) + text[end:]


def _span(text: str, node: Node) -> tuple[int, int]:
    """Return where a value begins and ends, without the white space after it."""
    start = node.start_mark.index
    return start, max(start, _end(text, node))


def _end(text: str, node: Node) -> int:
    """Return where a node's text ends. The parser's own end of a block lies after the comments below it."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = cast("Node | tuple[Node, Node]", node.value[-1])
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def _line_end(text: str, at: int) -> int:
    """Return where the next line begins."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _with_line(text: str, at: int, line: str, line_end: str) -> str:
    """Return the text with a line inserted after the line that contains ``at``."""
    place = _line_end(text, at)
    before = text[:place]
    if before and not before.endswith("\n"):
        return f"{before}{line_end}{line}"
    return f"{before}{line}{line_end}{text[place:]}"


def _written(value: str) -> str:
    """Return a value in YAML: JSON for objects and arrays, plain if it stays text, else in double quotes."""
    if value[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(value), ensure_ascii=False)
        except ValueError:
            pass
    plain = re.fullmatch(r"[A-Za-z0-9][\w./@:+ -]*", value, re.ASCII)
    return value if plain and _reads_back_as_text(value) else json.dumps(value, ensure_ascii=False)


def _reads_back_as_text(value: str) -> bool:
    """Return whether the engine and YAML 1.1, in which `on` is a boolean, both read the value as the same text."""
    try:
        node = compose(f"[{value}]")
    except ValueError:
        return False
    read: Sequence[Any] = value_of(node) if node else []
    return read == [value] and value.lower() not in ("y", "n", "yes", "no", "on", "off")
