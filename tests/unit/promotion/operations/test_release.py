"""`release` of an image that stable already runs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import pytest

from promotion.errors import DONE
from promotion.operations import release
from promotion.operations.canary import Trial
from promotion.operations.options import ReleaseOptions
from promotion.operations.release import is_released
from promotion.operations.session import Session
from promotion.state import engine
from tests.unit.promotion.operations.fake_stack import NEW, OLD, Make


@pytest.mark.parametrize("image", ["source", NEW])
def test_a_released_image_is_not_released_again(make: Make, monkeypatch: pytest.MonkeyPatch, image: str):
    session, stack = make("release", {"stable": NEW}, options={"image": image}, stableImage=NEW)

    @contextmanager
    def open_session(*_: object) -> Generator[Session]:
        yield session

    monkeypatch.setattr(release, "open_session", open_session)
    monkeypatch.setattr(engine, "outputs", lambda _: {"url": "http://203.0.113.7"})
    assert release.release(cast(ReleaseOptions, session.options)) == DONE
    pinned = {"stableImage": NEW}
    assert stack.applied == ([{**pinned, "buildAhead": "true"}, pinned] if image == "source" else [])


def test_stables_image_with_other_settings_is_a_release(make: Make):
    session, _ = make("release", stableImage=OLD)
    trial = Trial(OLD, session.file.text())
    assert is_released(session, trial)
    session.file.write(session.file.text() + '  addressbook:canarySettings: {"memoryLimit": "512Mi"}\n')
    assert not is_released(session, trial)
