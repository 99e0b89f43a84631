"""The verdict on a canary: is it as good as stable, as far as a trial of some minutes can tell?

``judge`` tries the canary and answers ``healthy``, ``unhealthy`` or ``inconclusive``.
See docs/explanation/verdict.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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
) -> Verdict:
    """Try the canary for so long, and say whether it is healthy.

    ``say`` gets a line at each look, ``every_seconds`` (None: as fits the duration). ``commands`` are run in the canary
    first; None means the addressbook's own where the service is the addressbook, else none.

    Raises CommandError when there is no canary to judge, when it is changed meanwhile, or (code INCONCLUSIVE) when
    the cluster
    does not answer. Nothing is changed, but for a person that is created and deleted.
    """
    from promotion.verdict.trial import Trial, default_interval  # the Kubernetes client takes half a second to import

    return Trial(cluster, duration_seconds, say, every_seconds or default_interval(duration_seconds), commands).run()
