"""Read ``Pulumi.<stack>.yaml`` as the engine does, and edit it in place, leaving the rest of the file untouched."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node

from contract.project import PROJECT_ROOT
from promotion.errors import WRONG_USE, CommandError
from promotion.state import yaml_edits
from promotion.state.engine_yaml import compose, normal_form, pairs, text_of, value_of
from promotion.state.yaml_edits import Edits, Entry

__all__ = ["Edits", "StackFile", "difference", "holds_secret"]


@dataclass(frozen=True)
class StackFile:
    """The stack file at ``path``.

    A key of the project is ``NAME``, ``PROJECT:NAME`` or ``PROJECT:config:NAME``, which are the same to the engine.
    ``prefix`` is the project's name and a colon.
    """

    path: Path
    prefix: str = "addressbook:"

    @classmethod
    def of(cls, stack: str, folder: Path = PROJECT_ROOT) -> StackFile:
        """Return the stack's file in the project's folder. ``stack`` may be ORGANIZATION/PROJECT/NAME.

        Raises CommandError if the file is missing, or the stack belongs to another project.
        """
        project = cast(dict[str, Any], yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8")))
        if project.get("stackConfigDir"):
            raise CommandError(
                "Pulumi.yaml: stackConfigDir is not supported; remove it and keep the stack files beside Pulumi.yaml",
                WRONG_USE,
            )
        organization, _, name = stack.rpartition("/")
        if "/" in organization and organization.partition("/")[2] != project["name"]:
            raise CommandError(
                f"--stack {stack}: the stack belongs to another project; this one is {project['name']}", WRONG_USE
            )
        path = folder / f"Pulumi.{name}.yaml"
        if not path.is_file():
            other = path.with_suffix(".yml")
            remedy = (
                f"the engine does not read {other.name}, so rename that file"
                if other.is_file()
                else "write one, or choose another stack with --stack"
            )
            raise CommandError(f"there is no {path.name} in {folder}: {remedy}", WRONG_USE)
        return cls(path, f"{project['name']}:")

    def text(self) -> str:
        """Return the file's text with its line ends. Raises CommandError if it is not UTF-8."""
        try:
            return self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise CommandError(
                f"{self.path.name} is not UTF-8 (byte {error.start}): save it in UTF-8", WRONG_USE
            ) from None

    def values(self, text: str | None = None) -> dict[str, str]:
        """Return the project's keys by name, except secrets; the values are text, as the engine passes them.

        Raises CommandError if the text is not valid YAML, or contains a key twice.
        """
        return {name: text_of(value) for name, value in self._values(text).items() if not _is_secret(value)}

    def config(self) -> dict[str, Any]:
        """Return the whole config as the engine decodes it, with every key of the project as ``PROJECT:NAME``.

        Raises CommandError as ``values`` does.
        """
        document = cast(dict[str, Any], self._document(None).get("config") or {})
        own = {self.prefix + name: value for name, value in self._values(None).items()}
        return {
            **own,
            **{key: value for key, value in document.items() if ":" in key and not key.startswith(self.prefix)},
        }

    def settings(self) -> dict[str, Any]:
        """Return the file's other settings, such as how secrets are encrypted. Raises CommandError."""
        return {key: value for key, value in self._document(None).items() if key != "config"}

    @property
    def secrets_provider(self) -> str | None:
        """Encryption of the file's secrets, such as ``awskms://alias/ours``; None for the backend's default."""
        provider = self.settings().get("secretsprovider")
        return str(provider) if provider else None

    def edited(self, edits: Edits) -> str:
        """Return the file's text with the keys changed; new keys are placed in the order of Pulumi.yaml.

        An object or array is given as JSON. A key keeps its place and its form, with or without the project's name.
        Raises CommandError if the edited file would not have these values.
        """
        before = self.text()
        present = {key: text_of(value) for key, value in self._values(before).items()}
        changed = {key: value for key, value in edits.items() if present.get(key) != value}
        expected = {**present, **edits}
        after = self._edited(before, changed)
        if after is None or self._texts(after) != _set(expected):
            raise CommandError(
                f"{self.path.name}: cannot edit {', '.join(changed)}; write each key of `config` on a line of its own,"
                f' such as `  {self.prefix}stableReplicas: "3"`, without anchors and merges',
                WRONG_USE,
            )
        return after

    def write(self, text: str) -> None:
        """Replace the file in one step, so that a killed command leaves the old file or the new one."""
        target = self.path.resolve()
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(target.stat().st_mode)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _values(self, text: str | None) -> dict[str, Any]:
        """Return the project's keys with their decoded values."""
        try:
            return {name: value_of(entry.value) for name, entry in self._entries(self._root(text)).items()}
        except ValueError as error:
            raise self._invalid(error) from None

    def _texts(self, text: str) -> dict[str, str]:
        return {name: normal_form(text_of(value)) for name, value in self._values(text).items()}

    def _edited(self, text: str, edits: Edits) -> str | None:
        """Return the text with the keys changed; None if that makes it invalid."""
        try:
            for key, value in edits.items():
                root = self._root(text)
                text = yaml_edits.with_key(text, root, self._entries(root), self.prefix, key, value)
            self._values(text)
        except CommandError:
            return None
        return text

    def _document(self, text: str | None) -> dict[str, Any]:
        try:
            root = self._root(text)
            return value_of(root) if root else {}
        except ValueError as error:
            raise self._invalid(error) from None

    def _root(self, text: str | None) -> MappingNode | None:
        """Return the document's mapping; None if the file is empty. Raises CommandError."""
        try:
            root: Node | None = compose(self.text() if text is None else text)
        except ValueError as error:
            raise self._invalid(error) from None
        if root is None or text_of(value_of(root)) == "":
            return None
        if not isinstance(root, MappingNode):
            raise self._invalid(ValueError("it is not a mapping"))
        return root

    def _entries(self, root: MappingNode | None) -> dict[str, Entry]:
        """Return the project's keys by name, in the order of the file. Raises CommandError for duplicates."""
        try:
            config = pairs(root).get("config") if root else None
            if config and not isinstance(config[1], MappingNode) and text_of(value_of(config[1])):
                raise ValueError("`config` is not a mapping")  # noqa: TRY301 the handler below is for all three
            nodes = pairs(config[1]) if config and isinstance(config[1], MappingNode) else {}
        except ValueError as error:
            raise self._invalid(error) from None
        entries: dict[str, Entry] = {}
        for written, (key, value) in nodes.items():
            name = written if ":" not in written else written.removeprefix(self.prefix).removeprefix("config:")
            if ":" in name or (":" in written and not written.startswith(self.prefix)):
                continue
            if name in entries:
                raise CommandError(
                    f"{self.path.name} has both `{entries[name].written}` and `{written}`, and the engine picks either"
                    " at random: delete one of them",
                    WRONG_USE,
                )
            entries[name] = Entry(written, key, value)
        return entries

    def _invalid(self, error: ValueError) -> CommandError:
        return CommandError(f"{self.path.name} is not valid YAML: {error}", WRONG_USE)


def _set(values: Edits) -> dict[str, str]:
    """Return the keys that have a value, in their normal form."""
    return {key: normal_form(value) for key, value in values.items() if value is not None}


def _is_secret(value: object) -> bool:
    return isinstance(value, Mapping) and "secure" in value


def holds_secret(value: object) -> bool:
    """Return whether a decoded value is encrypted or contains an encrypted value (``secure``)."""
    if isinstance(value, Mapping):
        mapping = cast(Mapping[str, object], value)
        return "secure" in mapping or any(map(holds_secret, mapping.values()))
    return isinstance(value, list) and any(map(holds_secret, cast(list[object], value)))


def difference(before: str, after: str) -> list[str]:
    """Return the removed (``-``) and added (``+``) lines."""
    shown = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in shown if not line.startswith(("---", "+++", "@@"))]
