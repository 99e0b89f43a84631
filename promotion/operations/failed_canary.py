"""What happens when a canary fails: the cause is shown, and the canary taken back, in the stack file too."""

from __future__ import annotations

from typing import Literal

from promotion.operations import config_edits as moves
from promotion.operations.work import Work
from promotion.state.history import short
from promotion.state.stack_file import Edits
from promotion.state.timestamp import stamp
from promotion.state.verdict_record import Record, record

#: Why a canary that was judged is taken back.
FOUND_UNHEALTHY = "the canary was found unhealthy"


def take_back(work: Work, why: str) -> None:
    """Print a diagnosis, remove the canary, give stable its replicas back, and keep on record that it was unhealthy.

    Raises CommandError when the cluster does not answer, so that it may be no fault of the canary, and when the
    update fails
    too; the next command goes on from there.
    """
    image = work.release.canary_image
    work.say(f"\n{why}\n\n{diagnosis(work)}\n\nthe canary is taken back")
    text = work.file.edited({**moves.without_canary(work.release), **_unhealthy(work, image)})
    work.apply(text, f"canary {short(image)} removed: {why}")


def diagnosis(work: Work, track: Literal["stable", "canary"] = "canary") -> str:
    """What is wrong with a track. Raises CommandError when the cluster does not answer."""
    from promotion.diagnosis.diagnose import diagnose, diagnosis_text
    from promotion.state.cluster.cluster import Cluster  # the Kubernetes client takes half a second to import

    return diagnosis_text(diagnose(Cluster.of(work.stack), track))


def _unhealthy(work: Work, image: str) -> Edits:
    """The verdict on an image that failed before it could be judged; one that was judged has its verdict."""
    digest, said = image.partition("@")[2], record(work.release.canary_verdict)
    if not digest or (said and said.digest == digest and said.against):
        return {}
    return {"canaryVerdict": str(Record("unhealthy", digest, stamp()))}
