"""Secrets in logs and messages, made unreadable: the namespace's own, and what looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

import urllib3
from kubernetes.client.exceptions import ApiException

from promotion.diagnosis.snapshot import Document, Snapshot, part, parts, raw
from promotion.state.cluster.cluster import Cluster

MASK = "•••"
#: Settings that stand in the release's Secret beside the password and tell nothing: a diagnosis needs them readable.
PLAIN = frozenset({"NODE_ENV", "PORT", "DB_HOST", "DB_PORT", "DB_SCHEMA", "DB_USER", "DB_SSL"})
#: Shorter values cannot be told from other text; those up to WORD_LENGTH are masked as whole words only.
SHORTEST = 4
WORD_LENGTH = 7
_SECRET_NAME = re.compile(r"passw|secret|token|credential|private|api_?key|access_?key", re.IGNORECASE)
#: A password in a URL, and a name that says "secret" with its value.
_LOOKS_SECRET = (
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+@"), rf"\g<1>{MASK}@"),
    (
        re.compile(
            r"((?:passw(?:or)?d|secret|token|api[_-]?key)[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;}&]+)", re.I
        ),
        rf"\g<1>{MASK}",
    ),
)


class Mask:
    """Replaces known values, and what looks like a secret, by ``MASK``."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value)}
        parts = [_pattern(form) for form in sorted(forms, key=len, reverse=True)]
        self._known = re.compile("|".join(parts)) if parts else None

    def __call__(self, text: str) -> str:
        masked = self._known.sub(MASK, text) if self._known else text
        for pattern, replacement in _LOOKS_SECRET:
            masked = pattern.sub(replacement, masked)
        return masked


def mask_of(cluster: Cluster, snapshot: Snapshot) -> Mask:
    """A mask for all that the namespace keeps secret, as far as the credentials may read it."""
    try:
        secrets: list[Document] = json.loads(raw(cluster.core.list_namespaced_secret, cluster.namespace))["items"]
    except (ApiException, urllib3.exceptions.HTTPError, OSError):
        secrets = []
    return Mask([*_kept_in(secrets), *_written_in(snapshot.pods)])


def _kept_in(secrets: Iterable[Document]) -> list[str]:
    found: list[str] = []
    for secret in secrets:
        for key, encoded in part(secret, "data").items():
            if key not in PLAIN:
                found.append(base64.b64decode(encoded).decode(errors="replace"))
    return found


def _written_in(pods: Iterable[Document]) -> list[str]:
    """Values that stand in a pod's own specification under a name that says what they are."""
    containers = [each for pod in pods for each in pod["spec"]["containers"]]
    return [
        str(variable["value"])
        for container in containers
        for variable in parts(container, "env")
        if variable.get("value") and _SECRET_NAME.search(variable["name"])
    ]


def _forms(value: str) -> set[str]:
    """The value as it may stand in a log: as it is, its lines, and written for a URL, in JSON and in base64."""
    whole = value.strip()
    lines = [line.strip() for line in whole.splitlines()] if "\n" in whole else []
    plain = [whole, *lines]
    encoded = [quote(whole, safe=""), json.dumps(whole)[1:-1], base64.b64encode(value.encode()).decode()]
    return {form for form in [*plain, *encoded] if len(form) >= SHORTEST}


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) > WORD_LENGTH else rf"(?<!\w){escaped}(?!\w)"
