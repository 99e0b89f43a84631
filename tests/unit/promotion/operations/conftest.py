"""Operations on a stack in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import update
from promotion.operations.options import ReleaseOptions
from promotion.operations.session import Console, EngineRun, Session
from promotion.preview.planned import Plan, ReleaseState
from promotion.preview.steps import digest_of_steps
from promotion.state import engine, history
from promotion.state.cluster.cluster import Cluster
from promotion.state.history import Update
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from tests.unit.promotion.operations.fake_stack import NEW, OLD, FakeStack, Make

LONG_AGO = "2025-01-01T00:00:00+00:00"


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
        updates = [update_to(each) for each in earlier]
        console = Console(chosen.output == "json", chosen.yes, io.StringIO())
        session = Session(command, chosen, file, console, EngineRun("dev", console, _stack=cast(Any, stack)), updates)

        def up(
            stack: Any,
            message: str,
            *,
            config_file: Path | None,
            progress: Progress,
            excluded: Sequence[str],
            leaves_platform: bool,
            former_stable: str,
            **_: Any,
        ) -> dict[str, Any]:
            stack.excluded.append([*excluded])
            stack.leaves_platform.append(leaves_platform)
            stack.former_stable.append(former_stable)
            progress.failed += [stack.failing] if stack.failing else []
            return stack.up(config_file, message)

        def cluster(_: Session) -> Cluster:
            deployment = SimpleNamespace(is_available=stack.available, past_deadline=not stack.available)
            return cast(Cluster, SimpleNamespace(deployment=lambda _: deployment))

        def history_of(_: object) -> list[Update]:
            return [*(update_to(each) for each in reversed(stack.applied)), *updates]

        monkeypatch.setattr(history, "updates", history_of)
        monkeypatch.setattr(Session, "cluster", cluster)
        monkeypatch.setattr(update, "SETTLE_SECONDS", 0)

        def plan(stack: Any, *, refresh: bool, **_: Any) -> Plan:
            before, after = (ReleaseState.of(outputs) for outputs in stack.previewed)
            return Plan(
                *("addressbook", "dev", before, after),
                changes=stack.drift if refresh else stack.changes,
                unchanged=0,
                verdict="",
                diff="",
                faults=stack.forbidden,
                steps=stack.steps,
                digest=digest_of_steps(stack.steps),
            )

        monkeypatch.setattr(engine, "up", up)
        monkeypatch.setattr(update, "plan", plan)
        return session, stack

    return make


def update_to(config: Mapping[str, str]) -> Update:
    """Return a finished update to this config; the keys ``result``, ``time``, ``commit`` and ``number`` are its own."""
    fields: dict[str, Any] = {"result": "succeeded", "time": LONG_AGO, "commit": "", "number": "0", **config}
    described = {name: fields[name] for name in ("result", "commit")}
    keys = {key: value for key, value in config.items() if key not in ("result", "time", "commit", "number")}
    time, number = datetime.fromisoformat(fields["time"]), int(fields["number"])
    return Update(
        number=number, time=time, kind="update", message="", author="", edited=False, config=keys, **described
    )


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
