"""`up` and `down` ask at a terminal before a protected stack changes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.operations import stack
from promotion.operations.options import ChangeOptions, UpOptions
from promotion.operations.session import EngineRun, Session
from promotion.state.release_stack_file import is_protected
from tests.unit.promotion.operations.fake_stack import Make


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


CLOUD = {"cloud": "digitalocean"}


@pytest.mark.parametrize(
    ("config", "protected"),
    [
        ({"cloud": "local"}, False),
        (CLOUD, True),
        ({"cloud": "aws"}, True),
        ({"cloud": "gcp", "deletionProtection": "true"}, True),
        ({**CLOUD, "deletionProtection": "false"}, False),
        ({**CLOUD, "platformStack": "prod"}, True),
        ({**CLOUD, "platformStack": "prod", "deletionProtection": "false"}, False),
        ({"cloud": "local", "platformStack": "dev"}, False),
        ({"cloud": "azure"}, False),
        ({}, False),
    ],
)
def test_which_stacks_are_protected(config: dict[str, str], protected: bool):
    assert is_protected(config) is protected


@pytest.mark.parametrize("command", ["up", "down"])
@pytest.mark.parametrize(
    ("config", "yes", "terminal", "asked"),
    [
        (CLOUD, False, True, True),
        (CLOUD, True, True, False),
        (CLOUD, False, False, False),
        ({"cloud": "local"}, False, True, False),
    ],
)
def test_a_terminal_is_asked_for_a_protected_stack(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    config: dict[str, str],
    yes: bool,
    terminal: bool,
    asked: bool,
):
    session, _ = make(command, options={"yes": yes}, **config)

    @contextmanager
    def opened(*_: object) -> Iterator[Session]:
        yield session

    def reached(*_: Any) -> None:
        raise RuntimeError("the engine was reached")

    monkeypatch.setattr(stack, "open_session", opened)
    monkeypatch.setattr(EngineRun, "create_stack", reached)
    monkeypatch.setattr(EngineRun, "down", reached)
    monkeypatch.setattr("sys.stdin", (Terminal if terminal else io.StringIO)("n\n"))
    run = {"up": lambda: stack.up(UpOptions()), "down": lambda: stack.down(ChangeOptions())}[command]
    if not asked:
        with pytest.raises(RuntimeError, match="was reached"):
            run()
        return
    with pytest.raises(CommandError, match="nothing was changed") as error:
        run()
    assert error.value.code == WRONG_USE
