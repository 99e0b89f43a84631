"""Ask DigitalOcean through doctl, which every user of this cloud has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from pulumi.runtime import config as engine_config

#: Both the provider and doctl read the first variable; only the provider reads the second.
TOKEN_VARIABLE = "DIGITALOCEAN_ACCESS_TOKEN"  # noqa: S105 the name of a variable
PROVIDER_TOKEN_VARIABLE = "DIGITALOCEAN_TOKEN"  # noqa: S105
TOKEN_CONFIG = "digitalocean:token"  # noqa: S105 the name of a config key
#: Timeout of a doctl call, in seconds.
CALL_SECONDS = 30


class DoctlError(Exception):
    """DigitalOcean or doctl refused; the message is one line."""


def provider_token() -> str:
    """Return the API token that the provider uses, or "" if only doctl's own config has one."""
    configured = engine_config.CONFIG.get().get(TOKEN_CONFIG)
    return str(configured or os.environ.get(PROVIDER_TOKEN_VARIABLE) or os.environ.get(TOKEN_VARIABLE) or "")


def ask(*arguments: str) -> Any:
    """Run a doctl command with the provider's token and return its JSON. Raises DoctlError."""
    token = provider_token()
    try:
        done = subprocess.run(
            ["doctl", *arguments, "--output", "json"],
            env={**os.environ, **({TOKEN_VARIABLE: token} if token else {})},
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise DoctlError("doctl is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise DoctlError(f"no answer in {CALL_SECONDS} s") from None
    if done.returncode != 0:
        raise DoctlError(_message(done.stderr) or _message(done.stdout) or f"exit code {done.returncode}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise DoctlError(f"`doctl {' '.join(arguments)}` printed no JSON") from None


def ask_for_rows(*arguments: str) -> list[Mapping[str, Any]]:
    """Return the rows of a doctl command that lists something. Raises DoctlError."""
    return ask(*arguments) or []  # Go writes an empty list as null


def _message(text: str) -> str:
    """Return doctl's error as one line. With JSON as output, it may be an object ``{"errors": [{"detail": …}]}``."""
    try:
        text = "; ".join(each["detail"] for each in json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        text = text.rpartition("Error: ")[2]
    return " ".join(text.split()).rstrip(".")
