"""What a rule may ask of a pod beyond the snapshot: its log, and what a probe is answered."""

from __future__ import annotations

import http.client
import json
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from promotion.diagnosis.masking import Mask
from promotion.diagnosis.snapshot import Document, name, raw
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.cluster.pods import Pod

#: Lines of a log that are read, to find a cause in, and that are shown.
READ_LINES = 40
SHOWN_LINES = 8
#: Characters of a log line or an answer that are shown.
LINE_LENGTH = 300
ANSWER_SECONDS = 6


class Questions:
    """Asks the cluster; what comes back holds no secrets. A pod that does not answer gives no lines."""

    def __init__(self, cluster: Cluster, mask: Mask) -> None:
        self._cluster = cluster
        self._mask = mask

    def log(self, pod: Document, container: str, previous: bool) -> tuple[str, ...]:
        """Last lines of the container's log; ``previous``: of the one before its last restart."""
        read = self._cluster.core.read_namespaced_pod_log
        chosen = {"container": container, "previous": previous, "tail_lines": READ_LINES}
        try:
            text = raw(read, name(pod), self._cluster.namespace, **chosen).decode(errors="replace")
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return ()
        return tuple(shortened(self._mask(line)) for line in text.splitlines() if line.strip())

    def probe_answer(self, pod: Document, port: int, path: str) -> str:
        """What the pod answers to GET on the path, as "500: BODY"; "" when it does not answer."""
        try:
            with self._cluster.forward(Pod(pod), port, ANSWER_SECONDS) as connection:
                connection.request("GET", path, headers={"Connection": "close"})
                answer = connection.getresponse()
                body = answer.read(2 * LINE_LENGTH).decode(errors="replace")
        except (UnreachableError, http.client.HTTPException, OSError):
            return ""
        return shortened(self._mask(f"{answer.status}: {' '.join(body.split())}"))

    def masked(self, text: str) -> str:
        """A message without secrets."""
        return shortened(self._mask(" ".join(text.split())), 2 * LINE_LENGTH)


def shortened(line: str, length: int = LINE_LENGTH) -> str:
    """The line, cut where it is too long to read."""
    return line if len(line) <= length else f"{line[:length]}…"


def is_error(line: str) -> bool:
    """Whether a log line tells of an error: JSON with such a level, or the words that loggers use."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        words = line.upper()
        return any(word in words for word in ("ERROR", "FATAL", "PANIC", "TRACEBACK", "EXCEPTION"))
    level = str(record.get("level", "")).lower() if isinstance(record, dict) else ""  # pyright: ignore
    return level in ("error", "fatal", "critical", "panic")
