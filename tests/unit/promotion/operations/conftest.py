"""Operations on a stack in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import update
from promotion.operations.options import ReleaseOptions
from promotion.operations.session import Console, EngineRun, Session
from promotion.preview.steps import digest_of_steps
from promotion.state import engine
from promotion.state.history import Update
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from tests.unit.promotion.operations.fake_stack import NEW, OLD, FakeStack, Make


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that opens a session on a stack in memory, whose file has the given keys."""

    def make(
        command: str = "promote",
        tracks: dict[str, str] | None = None,
        earlier: Sequence[dict[str, str]] = (),
        options: dict[str, Any] | None = None,
        **config: str,
    ) -> tuple[Session, FakeStack]:
        path = tmp_path / "Pulumi.dev.yaml"
        path.write_text("config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items()))
        chosen = ReleaseOptions(**{"image": NEW, **(options or {})})
        file = StackFile(path)
        stack = FakeStack(tracks if tracks is not None else {"stable": OLD}, file)
        plain: dict[str, Any] = {"kind": "update", "message": "", "result": "succeeded", "author": "", "commit": ""}
        updates = [Update(number=0, time=datetime.now(UTC), edited=False, config=each, **plain) for each in earlier]
        console = Console(chosen.output == "json", chosen.yes, io.StringIO())
        session = Session(command, chosen, file, console, EngineRun("dev", console, _stack=cast(Any, stack)), updates)

        def up(stack: Any, message: str, *, config_file: Path | None, progress: Progress, **_: Any) -> dict[str, Any]:
            progress.failed += [stack.failing] if stack.failing else []
            return stack.up(config_file, message)

        def plan(stack: Any, **_: Any) -> Any:
            return SimpleNamespace(faults=stack.forbidden, steps=stack.steps, digest=digest_of_steps(stack.steps))

        monkeypatch.setattr(engine, "up", up)
        monkeypatch.setattr(update, "plan", plan)
        return session, stack

    return make


def refused(action: Callable[[], object], session: Session, match: str, code: int = WRONG_USE) -> None:
    """Check that the action is refused and leaves the stack file unchanged."""
    before = session.file.text()
    with pytest.raises(CommandError, match=match) as error:
        action()
    assert error.value.code == code
    assert session.file.text() == before


def forced(session: Session) -> Session:
    """Return the session with ``--force``."""
    options = ReleaseOptions(**{**vars(session.options), "force": True})
    return Session(session.command, options, session.file, session.console, session.engine, session.updates())
