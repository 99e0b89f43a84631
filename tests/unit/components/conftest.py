"""Stacks on a simulated cloud; a folder's or a module's fixture ``simulated`` says which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks.parsing import ConfigError, parse
from tests.unit.components.simulated import SimulatedCloud


@pytest.fixture
def account(simulated: SimulatedCloud, cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that is signed in to an account there. Returns the folder of the cloud's command."""
    commands = tmp_path / "bin"
    commands.mkdir()
    command = commands / simulated.command
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    simulated.sign_in(commands, monkeypatch)
    simulated.answer(cloud)
    return commands


@pytest.fixture
def graph(declare: Callable[..., Any], simulated: SimulatedCloud, account: Path) -> Callable[..., Any]:
    """The graph of a stack, with some of the config changed."""
    return lambda preview=False, **changed: declare(preview=preview, **{**simulated.config, **changed})


@pytest.fixture
def first_preview(graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any) -> Callable[[], Any]:
    """The graph of a preview of an empty stack, and how often which function was asked."""

    def preview() -> tuple[Any, Counter[str]]:
        cloud.made = False
        asked: Counter[str] = Counter()
        for function, answer in simulated.functions.items():
            cloud.functions[function] = lambda args, function=function, answer=answer: (
                asked.update([function]),
                answer(args),
            )[1]
        return graph(preview=True), asked

    return preview


@pytest.fixture
def keys(simulated: SimulatedCloud, account: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The settings of a platform of the stack `test`, read from its config with some of it changed."""
    monkeypatch.setattr(pulumi, "get_project", lambda: "addressbook")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "test")

    def read(**changed: str) -> Any:
        values = {**simulated.config, **changed}
        pulumi.runtime.set_all_config({key: value for key, value in values.items() if ":" in key})
        return parse({key: value for key, value in values.items() if ":" not in key}, simulated.keys).platform

    yield read
    pulumi.runtime.set_all_config({})


@pytest.fixture
def faults(keys: Callable[..., Any]) -> Callable[..., list[str]]:
    """What is wrong with a changed config, a sentence each."""

    def found(**changed: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            keys(**changed)
        return str(raised.value).splitlines()

    return found
