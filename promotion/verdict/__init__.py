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
    from promotion.verdict.observation import Observation

__all__ = ["Check", "Result", "Verdict", "judge"]


def judge(
    cluster: Cluster,
    duration_seconds: float,
    observe: Callable[[Observation], None],
    every_seconds: float | None = None,
    commands: Sequence[Sequence[str]] = (),
    keys: VerdictKeys | None = None,
) -> Verdict:
    """Try the canary for ``duration_seconds`` and return the verdict on it.

    ``observe`` gets what each look sees; looks are ``every_seconds`` apart (None: a suitable interval). ``commands``
    run in the canary first. ``keys`` say how the canary is judged (None: the defaults); their warm-up comes before
    ``duration_seconds``.

    The trial changes nothing but what the commands and test requests do. Raises CommandError if there is no canary,
    if an image changes during the trial, or (code INCONCLUSIVE) if the cluster does not answer.
    """
    from promotion.verdict.trial import Trial, default_interval  # the Kubernetes client takes half a second to import

    every = every_seconds or default_interval(duration_seconds)
    return Trial(cluster, duration_seconds, observe, every, commands, keys or VerdictKeys()).run()
