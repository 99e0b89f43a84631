"""Commands at work on a stack that is not there."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import work as work_module
from promotion.operations.work import Work
from promotion.state import engine as stacks
from promotion.state.history import Update
from promotion.state.progress import Progress
from promotion.state.stack_file import StackFile
from tests.unit.promotion.commands.fake_stack import NEW, OLD, FakeStack, Make


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A command at work on a stack whose file has the given keys."""

    def work(
        command: str = "promote",
        tracks: dict[str, str] | None = None,
        earlier: Sequence[dict[str, str]] = (),
        options: dict[str, Any] | None = None,
        **config: str,
    ) -> tuple[Work, FakeStack]:
        path = tmp_path / "Pulumi.dev.yaml"
        path.write_text("config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items()))
        defaults: dict[str, Any] = {"yes": True, "force": False, "only_config": False, "message": None, "keep": False}
        canary = {"image": NEW, "replicas": 1, "stable_replicas": None, "traffic": None}
        namespace = argparse.Namespace(**{**defaults, **canary, **(options or {})})
        file = StackFile(path)
        stack = FakeStack(tracks if tracks is not None else {"stable": OLD}, file)
        plain: dict[str, Any] = {"kind": "update", "message": "", "result": "succeeded", "author": "", "commit": ""}
        updates = [Update(number=0, time=datetime.now(UTC), edited=False, config=each, **plain) for each in earlier]
        made = Work("dev", command, file, namespace, io.StringIO(), _stack=cast(Any, stack), _updates=updates)

        def up(stack: Any, message: str, *, config_file: Path | None, progress: Progress, **_: Any) -> dict[str, Any]:
            progress.failed += [stack.failing] if stack.failing else []
            return stack.up(config_file, message)

        monkeypatch.setattr(stacks, "up", up)
        monkeypatch.setattr(work_module, "plan", lambda stack: SimpleNamespace(faults=stack.forbidden))
        return made, stack

    return work


def refused(action: Callable[[], object], work: Work, match: str, code: int = WRONG_USE) -> None:
    before = work.file.text()
    with pytest.raises(CommandError, match=match) as fault:
        action()
    assert fault.value.code == code
    assert work.file.text() == before
