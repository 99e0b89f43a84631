"""The verdict on a canary: is it as good as stable, as far as a trial of some minutes can tell?

See docs/explanation/verdict.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from contract.settings import VerdictKeys
from promotion.verdict.result import Check, Result, Verdict

if TYPE_CHECKING:
    from promotion.state.cluster.cluster import Cluster

__all__ = ["Check", "Result", "Verdict", "judge"]


def judge(
    cluster: Cluster,
    duration_seconds: float,
    say: Callable[[str], None],
    every_seconds: float | None = None,
    commands: Sequence[Sequence[str]] | None = None,
    keys: VerdictKeys | None = None,
) -> Verdict:
    """Try the canary for ``duration_seconds`` and return the verdict on it.

    ``say`` gets a line at each look, ``every_seconds`` (None: a suitable interval). ``commands`` run in the canary
    first; None means the addressbook's own if the service is the addressbook, otherwise none. ``keys`` are the limits
    and the warm-up, which comes before ``duration_seconds``; None for the defaults.

    The trial changes nothing, except that it creates and deletes one person. Raises CommandError if there is no canary,
    if an image changes during the trial, or (code INCONCLUSIVE) if the cluster does not answer.
    """
    from promotion.verdict.trial import Trial, default_interval  # the Kubernetes client takes half a second to import

    every = every_seconds or default_interval(duration_seconds)
    return Trial(cluster, duration_seconds, say, every, commands, keys or VerdictKeys()).run()
