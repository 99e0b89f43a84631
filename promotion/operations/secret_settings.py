"""Return stable to the secret settings of an earlier update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from promotion.errors import CommandError
from promotion.operations.session import Session
from promotion.state.engine_yaml import text_of
from promotion.state.history import SECRET, SETTINGS_KEYS, Update, decoded_object
from promotion.state.secrets import encrypted, written_values
from promotion.state.stack_file import Edits


def restored_secrets(session: Session, earlier: Update | None) -> Edits:
    """Return the edits that give stable the secret settings of an earlier update, encrypted.

    A variable that has not changed keeps its ciphertext. The way back does not depend on secrets: if they cannot be
    read, return no edits and print why.
    """
    keys = [key for key in SETTINGS_KEYS if earlier and earlier.config.get(key) == SECRET]
    if earlier is None or not keys:
        return {}
    try:
        values = session.secrets().get(earlier.number, {})
        if not values.keys() >= {*keys}:
            raise CommandError("the present secrets provider cannot decrypt those in the stack's history")  # noqa: TRY301
        present = written_values(session.engine.stack, session.file.prefix)
        return {
            key: _restored(
                session, session.config.get(key), decoded_object(values[key]), decoded_object(present.get(key, ""))
            )
            for key in keys
        }
    except CommandError as error:
        session.console.say(f"secret variables stay as they are: {error}")
        return {}


def stable_secrets(session: Session, update: Update) -> Mapping[str, str]:
    """Return the secret settings of stable in an update, without those that cannot be read."""
    if SECRET not in map(update.config.get, SETTINGS_KEYS):
        return {}
    try:
        values = session.secrets().get(update.number, {})
    except CommandError:
        return {}
    return {key: values[key] for key in SETTINGS_KEYS if key in values}


def _restored(session: Session, written: Any, wanted: Any, present: Any) -> str:
    """Return the file's new value. ``written`` is its present one, in which secrets are encrypted."""

    def seal(value: Any) -> dict[str, str]:
        return {"secure": encrypted(session.engine.stack, session.file, text_of(value))}

    if wanted == present:
        return text_of(written)
    if not isinstance(wanted, dict):
        return text_of(seal(wanted))
    before = cast(Mapping[str, Any], present if isinstance(present, dict) else {})
    entries = cast(Mapping[str, Any], written if isinstance(written, dict) else {})
    return text_of(
        {
            name: entries[name] if name in entries and name in before and before[name] == value else seal(value)
            for name, value in cast(Mapping[str, Any], wanted).items()
        }
    )
