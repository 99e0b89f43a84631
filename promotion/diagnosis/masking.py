"""Hide secrets in logs and messages: the values of the namespace's Secrets, and text that looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

import urllib3
from kubernetes.client.exceptions import ApiException

from promotion.state.cluster.cluster import Cluster
from promotion.state.cluster.pods import Document, Pod, part, parts, read_items

MASK = "•••"
#: Settings in the release's Secret that are not secret; a diagnosis needs to show them.
PLAIN = frozenset({"NODE_ENV", "PORT", "DB_HOST", "DB_PORT", "DB_SCHEMA", "DB_USER", "DB_SSL"})
#: Shorter values look like any other text. Values up to WORD_LENGTH characters are masked as whole words only.
SHORTEST = 4
WORD_LENGTH = 7
_SECRET_NAME = re.compile(r"passw|secret|token|credential|private|api_?key|access_?key", re.IGNORECASE)
#: A password in a URL, and a value after a name that means a secret.
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
    """Replaces known values, and text that looks like a secret, by ``MASK``."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value)}
        patterns = [_pattern(form) for form in sorted(forms, key=len, reverse=True)]
        self._known = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        masked = self._known.sub(MASK, text) if self._known else text
        for pattern, replacement in _LOOKS_SECRET:
            masked = pattern.sub(replacement, masked)
        return masked


def mask_of(cluster: Cluster, pods: Iterable[Pod]) -> Mask:
    """Return a mask for all secrets of the namespace that the credentials may read."""
    try:
        secrets = read_items(cluster.core.list_namespaced_secret, cluster.namespace)
    except (ApiException, urllib3.exceptions.HTTPError, OSError):
        secrets = []
    return Mask([*_values_in_secrets(secrets), *_values_in_pods(pods)])


def _values_in_secrets(secrets: Iterable[Document]) -> list[str]:
    return [
        base64.b64decode(encoded).decode(errors="replace")
        for secret in secrets
        for key, encoded in part(secret, "data").items()
        if key not in PLAIN
    ]


def _values_in_pods(pods: Iterable[Pod]) -> list[str]:
    """Return values written into a pod's own specification under a name that means a secret."""
    containers = [each for pod in pods for each in parts(pod.document, "spec", "containers")]
    return [
        str(variable["value"])
        for container in containers
        for variable in parts(container, "env")
        if variable.get("value") and _SECRET_NAME.search(variable["name"])
    ]


def _forms(value: str) -> set[str]:
    """Return the forms that a value may take in a log: as it is, by line, and encoded for a URL, JSON and base64."""
    whole = value.strip()
    lines = [line.strip() for line in whole.splitlines()]
    encoded = [quote(whole, safe=""), json.dumps(whole)[1:-1], base64.b64encode(value.encode()).decode()]
    return {form for form in [whole, *lines, *encoded] if len(form) >= SHORTEST}


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) > WORD_LENGTH else rf"(?<!\w){escaped}(?!\w)"
