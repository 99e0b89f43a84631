"""Explain a failed track that is rolled back first: look while its pods exist, print afterwards."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING

from promotion.operations.options import Track

if TYPE_CHECKING:
    from promotion.operations.session import Session

#: Maximum seconds that a roll-back waits for the diagnosis, which sees nothing once the pods are gone.
LOOK_SECONDS = 8.0


class Explanation:
    """Diagnosis of a track in a thread of its own, so that it never stops or delays a roll-back for long."""

    def __init__(self, session: Session, track: Track = "canary", seconds: float | None = None) -> None:
        """Look at the track; return after ``seconds`` even if the cluster has not answered everything yet."""
        self._diagnosis: Future[str] = Future()
        self._seconds = LOOK_SECONDS if seconds is None else seconds
        Thread(target=self._look, args=(session, track), daemon=True).start()
        wait([self._diagnosis], self._seconds)

    def _look(self, session: Session, track: Track) -> None:
        try:
            self._diagnosis.set_result(diagnosis(session, track))
        except Exception as error:  # no bug of the diagnosis may stop the roll-back
            self._diagnosis.set_exception(error)

    @property
    def is_cluster_unreachable(self) -> bool:
        """Whether the cluster did not answer at all, so that its state says nothing about the track."""
        from promotion.state.cluster.cluster import UnreachableError  # the Kubernetes client takes half a second

        return self._diagnosis.done() and isinstance(self._diagnosis.exception(), UnreachableError)

    def __str__(self) -> str:
        """Return the diagnosis, or a sentence that says why there is none."""
        if not self._diagnosis.done():
            return f"The cause is unknown: the diagnosis took longer than {self._seconds:g} s."
        error = self._diagnosis.exception()
        return f"The cause is unknown: the diagnosis failed: {error}" if error else self._diagnosis.result()


def diagnosis(session: Session, track: Track) -> str:
    """Return the diagnosis of a track as text. Raises CommandError if the cluster does not answer."""
    from promotion.diagnosis.diagnose import diagnose, diagnosis_text  # the Kubernetes client takes half a second

    return diagnosis_text(diagnose(session.cluster(), track))
