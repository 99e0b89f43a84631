"""A cloud as the tests know it: what a stack there is configured with, what its API computes, what is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from contract.settings import Keys

Change = Callable[[Path, pytest.MonkeyPatch], None]


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the caller gets at what a platform shares: its cluster and its registry."""

    #: What makes it the same cluster under another endpoint or other credentials.
    cluster: str
    #: The command line in the kubeconfig.
    kubeconfig_command: str
    #: Where the service's image is pushed to, and as whom.
    repository: str
    push: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FirstPreview:
    """What is known, and asked, before anything is there.

    ``unknown`` are inputs of the cloud's resources; ``outputs`` what the platform exports from its config.
    """

    unknown: tuple[tuple[str, str], ...]
    asked: Mapping[str, int] = field(default_factory=dict[str, int])
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class SimulatedCloud:
    """One cloud, in the words that all clouds have in common."""

    name: str
    #: The config of a platform, and what adds the resources that are there on request.
    config: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Keys of that config that a stack on another's platform leaves out.
    of_platform: tuple[str, ...] = ("kubernetesVersion",)
    #: What the API computes, by resource type; ``derived`` where it depends on the inputs; and answers, by function.
    computed: Mapping[str, Mapping[str, Any]]
    derived: Mapping[str, Callable[[Any], dict[str, Any]]] = field(default_factory=dict[str, Any])
    functions: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]
    #: The command that presents the caller to the cluster; the rest of being signed in, and the end of it.
    command: str
    sign_in: Change = lambda commands, monkeypatch: None
    sign_out: Change = lambda commands, monkeypatch: None
    #: Beginnings of the faults when there is neither version nor credentials nor command.
    missing: tuple[str, ...]
    access: Access
    outputs: Mapping[str, str]
    #: What travels to the cluster or the registry, and what stays with the resource that computed it.
    secrets: frozenset[str]
    kept_back: frozenset[str] = frozenset()
    protected: frozenset[str]
    first_preview: FirstPreview
    #: Types of what a stack on another's platform makes in the cloud.
    made_by_a_release: tuple[str, ...] = ()

    @property
    def keys(self) -> type[Keys]:
        """The keys of a platform; asked for, and only then, the cloud's SDK is imported."""
        return import_module(f"stacks.{self.name}").PlatformKeys

    def answer(self, cloud: Any) -> None:
        """Make it what providers answer."""
        for kind, values in self.computed.items():
            cloud.computed[kind] = lambda _, values=values: dict(values)
        cloud.computed.update(self.derived)
        cloud.functions.update(self.functions)
