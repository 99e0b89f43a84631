"""Which source the images of a plan were built from, as far as registries tell within seconds."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from components import registry_client
from components.registry_client import RegistryError
from components.source import revision
from contract.image import repository_of
from contract.project import PROJECT_ROOT, declared_defaults
from promotion.preview.planned import Plan, ReleaseState, TrackState

#: The OCI image specification's name for it.
LABEL = "org.opencontainers.image.revision"
#: Seconds that a preview waits for all images, and for one answer: regctl itself gives up after about 3.
ALL_SECONDS, ANSWER_SECONDS = 12.0, 5.0


def with_revisions(plan: Plan, config: Mapping[str, str]) -> Plan:
    """The plan with the revision of each track's image where it can be told; ``config`` is the stack file's.

    A digest names the same image wherever it is, so each repository that the config or a track names is asked: the
    stack's own may not have the image yet, or give no login to whoever only previews.
    """
    settings = {**declared_defaults(), **config}
    states = [track for release in (plan.before, plan.after) if release for track in release.tracks.values()]
    running = [track.image for track in states if track.image]
    pinned = [settings.get(key, "") for key in ("stableImage", "canaryImage")]
    references = list(dict.fromkeys(each for each in (*pinned, *running) if "@" in each))
    found = _labels({_digest(image) for image in running}, references, settings["buildPlatform"])
    if any(track.image is None for track in states):
        found[""] = _of_checkout(settings["buildContext"])
    return replace(plan, before=_told(plan.before, found), after=_told(plan.after, found))


def _told(release: ReleaseState | None, found: Mapping[str, str]) -> ReleaseState | None:
    def told(track: TrackState) -> TrackState:
        return replace(track, revision=found.get(_digest(track.image or ""), ""))

    return release and replace(release, tracks={name: told(track) for name, track in release.tracks.items()})


def _labels(digests: Iterable[str], references: Sequence[str], platform: str) -> dict[str, str]:
    """Revision of each digest, asked for side by side."""
    deadline = time.monotonic() + ALL_SECONDS

    def asked(digest: str) -> tuple[str, str]:
        return digest, _label(digest, references, platform, deadline)

    with ThreadPoolExecutor() as readers:
        return dict(readers.map(asked, digests))


def _label(digest: str, references: Sequence[str], platform: str, deadline: float) -> str:
    """What the first repository says that has the image; "" where none does in time."""
    named = [each for each in references if _digest(each) == digest]
    elsewhere = [f"{repository_of(each)}@{digest}" for each in references]
    for image in dict.fromkeys((*named, *elsewhere)):
        left = min(ANSWER_SECONDS, deadline - time.monotonic())
        if left <= 0:
            break
        try:
            return registry_client.label(image, LABEL, platform, left)
        except RegistryError:
            continue
    return ""


def _of_checkout(context: str) -> str:
    """Revision that an image built now would have; "" where Git's history is cut off, which tells a wrong one."""
    folder = PROJECT_ROOT / context
    command = ["git", "-C", str(folder), "rev-parse", "--is-shallow-repository"]
    try:
        shallow = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() != "false"
    except FileNotFoundError:  # no git on this machine
        return ""
    return "" if shallow else revision(folder)


def _digest(image: str) -> str:
    return image.partition("@")[2]
