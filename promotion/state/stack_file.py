"""Read and edit ``Pulumi.<stack>.yaml``: one line for each key, the rest of the file untouched."""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from contract.project import PROJECT_ROOT, declared_defaults
from promotion.errors import WRONG_USE, CommandError

#: A comment after a value; the value may be in quotes.
COMMENT = re.compile(r"""^[^#'"]*:\s+(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^'"#\s][^#]*?)(\s+#.*)$""")
#: New value of each key as text; None removes the key.
Edits = Mapping[str, str | None]


@dataclass(frozen=True)
class StackFile:
    """The stack file at ``path``. Its keys begin with ``prefix``, the project's name and a colon."""

    path: Path
    prefix: str = "addressbook:"

    @classmethod
    def of(cls, stack: str, folder: Path = PROJECT_ROOT) -> StackFile:
        """Return the stack's file in the project's folder. Raises CommandError if there is none."""
        path = folder / f"Pulumi.{stack}.yaml"
        if not path.is_file():
            raise CommandError(
                f"there is no {path.name} in {folder}: write one, or choose another stack with --stack", WRONG_USE
            )
        project = cast(dict[str, Any], yaml.safe_load((folder / "Pulumi.yaml").read_text()))
        return cls(path, f"{project['name']}:")

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def values(self, text: str | None = None) -> dict[str, str]:
        """Return the keys without the prefix, except secrets; the values are text, as the engine passes them."""
        config = self._config(self.text() if text is None else text)
        return {
            key.removeprefix(self.prefix): _as_text(value)
            for key, value in config.items()
            if key.startswith(self.prefix) and not (isinstance(value, dict) and "secure" in value)
        }

    @property
    def secrets_provider(self) -> str | None:
        """Encryption of the file's secrets, such as ``awskms://alias/ours``; None for the backend's default."""
        provider = self._document(self.text()).get("secretsprovider")
        return str(provider) if provider else None

    def edited(self, edits: Edits) -> str:
        """Return the file's text with the keys changed; new keys are placed in the order of Pulumi.yaml.

        Raises CommandError if a key is not on a line of its own.
        """
        before = self.text()
        lines = before.splitlines()
        for key, value in edits.items():
            lines = self._with(lines, key, value)
        after = "\n".join(lines) + "\n"
        expected = {**self.values(before), **edits}
        if self._values_or_none(after) != {key: value for key, value in expected.items() if value is not None}:
            raise self._refused(edits)
        return after

    def _refused(self, keys: Iterable[str]) -> CommandError:
        return CommandError(
            f"{self.path.name}: cannot edit {', '.join(keys)}; write each key of `config` on its own line,"
            f' such as `  {self.prefix}stableReplicas: "3"`',
            WRONG_USE,
        )

    def write(self, text: str) -> None:
        """Replace the file in one step, so that a killed command leaves the old file or the new one."""
        target = self.path.resolve()
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(target.stat().st_mode)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _values_or_none(self, text: str) -> dict[str, str] | None:
        try:
            return self.values(text)
        except CommandError:
            return None

    def _config(self, text: str) -> dict[str, Any]:
        return self._document(text).get("config") or {}

    def _document(self, text: str) -> dict[str, Any]:
        try:
            return cast(dict[str, Any] | None, yaml.safe_load(text)) or {}
        except yaml.YAMLError as error:
            raise CommandError(f"{self.path.name} is not valid YAML: {error}", WRONG_USE) from None

    def _with(self, lines: list[str], key: str, value: str | None) -> list[str]:
        """Return the lines with one key changed."""
        at = next((n for n, line in enumerate(lines) if self._key_of(line) == key), None)
        if value is None:
            return lines if at is None else [*lines[:at], *lines[at + 1 :]]
        if at is not None:
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            comment = match[1] if (match := COMMENT.search(lines[at])) else ""
            return [*lines[:at], f"{indent}{self.prefix}{key}: {_scalar(value)}{comment}", *lines[at + 1 :]]
        place, indent = self._place(lines, key)
        return [*lines[:place], f"{indent}{self.prefix}{key}: {_scalar(value)}", *lines[place:]]

    def _place(self, lines: list[str], key: str) -> tuple[int, str]:
        """Return the line before which a new key goes, and its indentation."""
        keys = {name: n for n, line in enumerate(lines) if (name := self._key_of(line))}
        if not keys:
            heading = next((n for n, line in enumerate(lines) if line.startswith("config:")), len(lines))
            if not re.fullmatch(r"config:\s*(\{\s*\})?\s*(#.*)?", "".join(lines[heading : heading + 1]) or "config:"):
                raise self._refused([key])
            lines[heading : heading + 1] = ["config:"]
            return heading + 1, "  "
        order = list(declared_defaults())
        rank = order.index(key) if key in order else len(order)
        earlier = [name for name in keys if name not in order or order.index(name) < rank]
        after = keys[earlier[-1]] if earlier else None
        at = min(keys.values()) if after is None else after
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        return (at if after is None else _end_of(lines, at)), indent

    def _key_of(self, line: str) -> str | None:
        match = re.match(rf"\s+(['\"]?){re.escape(self.prefix)}(\w+)\1:", line)
        return match[2] if match else None


def _end_of(lines: list[str], at: int) -> int:
    """Return the number of the line after a key and its value, which may be several indented lines."""
    depth = len(lines[at]) - len(lines[at].lstrip())
    end = at + 1
    while end < len(lines) and lines[end].strip() and len(lines[end]) - len(lines[end].lstrip()) > depth:
        end += 1
    return end


def _scalar(value: str) -> str:
    """Return the value in YAML: plain if it stays text, else in double quotes (as the engine writes numbers)."""
    plain = re.fullmatch(r"[A-Za-z0-9][\w./@:+ -]*", value) and ": " not in value and not value.endswith((":", " "))
    return value if plain and yaml.safe_load(value) == value else json.dumps(value)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


def difference(before: str, after: str) -> list[str]:
    """Return the removed (``-``) and added (``+``) lines."""
    shown = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in shown if not line.startswith(("---", "+++", "@@"))]
