"""An image of another pipeline: in a repository of the lab's registry that no rehearsed stack has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab.rehearsal import Failed, Rehearsal

LABEL = "rehearsal.build=canary"


@contextmanager
def another_build(rehearsal: Rehearsal, image: str) -> Iterator[str]:
    """The image with one label more, so with a digest of its own, as REPOSITORY@sha256:DIGEST; gone afterwards."""
    lab = rehearsal.lab
    name = f"elsewhere-{rehearsal.namespace}/{image.partition('@')[0].rpartition('/')[2]}"
    tagged = f"{lab.registry}/{name}:candidate"
    repository = lab.repositories / name
    try:
        _regctl(rehearsal, "image", "mod", image, "--create", tagged, "--label", LABEL)
        yield f"{lab.registry}/{name}@{_regctl(rehearsal, 'image', 'digest', tagged)}"
    finally:
        shutil.rmtree(repository.parent, ignore_errors=True)


def _regctl(rehearsal: Rehearsal, *arguments: str) -> str:
    command = ["regctl", *arguments]
    done = subprocess.run(command, env=rehearsal.environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
