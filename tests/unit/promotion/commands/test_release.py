"""What `release` does where there is nothing to release."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from promotion.commands import release
from promotion.errors import DONE
from promotion.operations.work import Work
from promotion.state import engine as stacks
from tests.unit.promotion.commands.fake_stack import NEW, Make


@pytest.mark.parametrize("image", ["source", NEW])
def test_what_stable_runs_already_is_not_released_and_nothing_is_left_of_the_build(
    make: Make, monkeypatch: pytest.MonkeyPatch, image: str
):
    work, stack = make("release", {"stable": NEW}, options={"image": image}, stableImage=NEW)

    @contextmanager
    def working(*_: object) -> Generator[Work]:
        yield work

    monkeypatch.setattr(release, "working", working)
    monkeypatch.setattr(stacks, "outputs", lambda _: {"url": "http://203.0.113.7"})
    assert release.run(work.options) == DONE
    pinned = {"stableImage": NEW}
    assert stack.applied == ([{**pinned, "buildAhead": "true"}, pinned] if image == "source" else [])
    assert work.file.values() == pinned
