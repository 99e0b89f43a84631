"""Look up the source revision of a plan's images in their registries, for a few seconds at most."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from components import registry_client
from components.registry_client import RegistryError
from components.source import revision
from contract.image import digest_of, repository_of
from contract.project import PROJECT_ROOT, declared_defaults
from promotion.errors import CommandError
from promotion.preview.planned import Plan, ReleaseState, TrackState
from promotion.state.git import git

#: Label of an image with its source revision (OCI image specification).
LABEL = "org.opencontainers.image.revision"
#: Maximum seconds for all images, and for one answer; regctl itself gives up after about 3.
ALL_SECONDS, ANSWER_SECONDS = 12.0, 5.0


def with_revisions(plan: Plan, config: Mapping[str, str]) -> Plan:
    """Return the plan with the known revisions of its images; ``config`` has the stack file's keys.

    A digest names the same image in every repository, so all repositories in the config and the tracks are asked. The
    stack's own registry may not have the image yet, or may refuse the credentials of a preview.
    """
    settings = {**declared_defaults(), **config}
    states = [track for release in (plan.before, plan.after) if release for track in release.tracks.values()]
    running = [track.image for track in states if track.image]
    pinned = [settings.get(key, "") for key in ("stableImage", "canaryImage")]
    references = list(dict.fromkeys(each for each in (*pinned, *running) if digest_of(each)))
    revisions = _labels({digest_of(image) for image in running}, references, settings["buildPlatform"])
    if any(track.image is None for track in states):
        revisions[""] = _of_checkout(settings["buildContext"])
    return replace(plan, before=_completed(plan.before, revisions), after=_completed(plan.after, revisions))


def _completed(release: ReleaseState | None, revisions: Mapping[str, str]) -> ReleaseState | None:
    def completed(track: TrackState) -> TrackState:
        return replace(track, revision=revisions.get(digest_of(track.image or ""), ""))

    return release and replace(release, tracks={name: completed(track) for name, track in release.tracks.items()})


def _labels(digests: Iterable[str], references: Sequence[str], platform: str) -> dict[str, str]:
    """Return the revision of each digest; the lookups run in parallel."""
    deadline = time.monotonic() + ALL_SECONDS

    def look_up(digest: str) -> tuple[str, str]:
        return digest, _label(digest, references, platform, deadline)

    with ThreadPoolExecutor() as readers:
        return dict(readers.map(look_up, digests))


def _label(digest: str, references: Sequence[str], platform: str, deadline: float) -> str:
    """Return the label from the first repository that has the image; "" if none answers in time."""
    same_image = [each for each in references if digest_of(each) == digest]
    other_repositories = [f"{repository_of(each)}@{digest}" for each in references]
    for image in dict.fromkeys((*same_image, *other_repositories)):
        left = min(ANSWER_SECONDS, deadline - time.monotonic())
        if left <= 0:
            break
        try:
            return registry_client.label(image, LABEL, platform, left)
        except RegistryError:
            continue
    return ""


def _of_checkout(context: str) -> str:
    """Return the revision of an image built now; "" without Git or in a shallow clone, which gives a wrong one."""
    folder = PROJECT_ROOT / context
    try:
        shallow = git(folder, "rev-parse", "--is-shallow-repository").strip() != "false"
    except CommandError:
        return ""
    return "" if shallow else revision(folder)
