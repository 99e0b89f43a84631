"""Make a database server from a backup, and keep it when the config no longer names the backup.

While ``databaseRestore`` is set, the server is the one that was made from that backup: a new value makes a new server.
Once the key is unset, whatever server exists is kept: the inputs that come from the key are ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

#: Hex digits of the suffix.
SUFFIX_DIGITS = 6


def restored_name(name: str, restore: Mapping[str, str]) -> str:
    """Return the server's name: ``name``, or with a suffix for the backup: the lost server may have it."""
    return f"{name}-{suffix(restore)}" if restore else name


def is_servers_name(candidate: str, name: str) -> bool:
    """Return whether `restored_name` gives the candidate to a server of this name, whatever its backup."""
    return re.fullmatch(rf"{re.escape(name)}(-[0-9a-f]{{{SUFFIX_DIGITS}}})?", candidate) is not None


def suffix(restore: Mapping[str, str]) -> str:
    """Return the same few hex digits for the same backup."""
    return hashlib.sha256(json.dumps(sorted(restore.items())).encode()).hexdigest()[:SUFFIX_DIGITS]


def kept_inputs(restore: Mapping[str, str], *inputs: str) -> list[str]:
    """Return the inputs whose changes the engine ignores: those that come from the key, once it is unset."""
    return [] if restore else list(inputs)
