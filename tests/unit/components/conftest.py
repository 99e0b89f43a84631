"""Stacks on a simulated cloud, chosen by the fixture ``simulated`` of a folder or module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import gateway_definitions
from stacks.parsing import ConfigError, parse
from tests.unit.components.simulated import SimulatedCloud


@pytest.fixture(autouse=True)
def cluster_with_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for each cluster that it has all definitions of Gateways."""
    known = gateway_definitions.KINDS | gateway_definitions.OWN_KINDS
    monkeypatch.setattr(gateway_definitions, "known_kinds", lambda *_: known)


@pytest.fixture
def account(simulated: SimulatedCloud, cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Sign this machine in to the cloud; return the folder of the cloud's command."""
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
    """Provide a function that returns a stack's graph, with changes to its config."""
    return lambda preview=False, **changed: declare(preview=preview, **{**simulated.config, **changed})


@pytest.fixture
def first_preview(graph: Callable[..., Any], simulated: SimulatedCloud, cloud: Any) -> Callable[[], Any]:
    """Provide a function that previews an empty stack; it returns the graph and the number of calls per function."""

    def preview() -> tuple[Any, Counter[str]]:
        cloud.created = False
        calls: Counter[str] = Counter()
        for function, answer in simulated.functions.items():
            cloud.functions[function] = lambda args, function=function, answer=answer: (
                calls.update([function]),
                answer(args),
            )[1]
        return graph(preview=True), calls

    return preview


@pytest.fixture
def keys(simulated: SimulatedCloud, account: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Provide a function that returns the platform's settings of stack `test`, with changes to its config."""
    monkeypatch.setattr(pulumi, "get_project", lambda: "addressbook")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "test")

    def read(**changed: str) -> Any:
        values = {**simulated.config, **changed}
        pulumi.runtime.set_all_config({key: value for key, value in values.items() if ":" in key})
        return parse({key: value for key, value in values.items() if ":" not in key}, simulated.keys).platform

    yield read
    pulumi.runtime.set_all_config({})


@pytest.fixture
def errors(keys: Callable[..., Any]) -> Callable[..., list[str]]:
    """Provide a function that returns the errors of a changed config."""

    def read(**changed: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            keys(**changed)
        return str(raised.value).splitlines()

    return read
