"""An image from another pipeline: in a repository of the lab's registry that no rehearsed stack has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab.rehearsal import Rehearsal, StepFailed

LABEL = "rehearsal.build=canary"


@contextmanager
def foreign_image(rehearsal: Rehearsal, image: str) -> Iterator[str]:
    """Yield a copy of the image as REPOSITORY@sha256:DIGEST. A further label gives it its own digest."""
    lab = rehearsal.lab
    name = f"foreign-{rehearsal.namespace}/{image.partition('@')[0].rpartition('/')[2]}"
    tagged = f"{lab.registry}/{name}:candidate"
    repository = lab.repositories / name
    try:
        _regctl(rehearsal, "image", "mod", image, "--create", tagged, "--label", LABEL)
        yield f"{lab.registry}/{name}@{_regctl(rehearsal, 'image', 'digest', tagged)}"
    finally:
        shutil.rmtree(repository.parent, ignore_errors=True)


def _regctl(rehearsal: Rehearsal, *arguments: str) -> str:
    command = ["regctl", *arguments]
    result = subprocess.run(command, env=rehearsal.environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise StepFailed(f"`{' '.join(command)}` failed: {result.stderr.strip()}")
    return result.stdout.strip()
