"""A simulated cloud: a stack's config, the API's answers, and what is specific to the cloud."""

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
    """How the caller reaches a platform's cluster and registry."""

    #: The cluster's identifier, independent of endpoint and credentials.
    cluster: str
    #: The command line in the kubeconfig.
    kubeconfig_command: str
    #: The service's repository, and the login for pushing to it.
    repository: str
    push: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FirstPreview:
    """What a preview of an empty stack knows and asks."""

    #: Unknown inputs of the cloud's resources: type and property.
    unknown: tuple[tuple[str, str], ...]
    #: Number of calls per function.
    calls: Mapping[str, int] = field(default_factory=dict[str, int])
    #: Platform outputs that the config determines.
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class SimulatedCloud:
    """One cloud, in terms that all clouds share."""

    name: str
    #: The config of a platform, and config that adds the optional resources.
    config: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Keys of that config that a release stack does not use.
    of_platform: tuple[str, ...] = ("kubernetesVersion",)
    #: Properties that the API computes, by resource type (``derived``: from the inputs), and results by function.
    computed: Mapping[str, Mapping[str, Any]]
    derived: Mapping[str, Callable[[Any], dict[str, Any]]] = field(default_factory=dict[str, Any])
    functions: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]
    #: The cluster's credential command, and how to sign in and out otherwise.
    command: str
    sign_in: Change = lambda commands, monkeypatch: None
    sign_out: Change = lambda commands, monkeypatch: None
    #: Subjects of the errors if version, credentials and command are missing.
    missing: tuple[str, ...]
    access: Access
    outputs: Mapping[str, str]
    #: Secrets that reach the cluster or the registry, and secrets that only their own resource has.
    secrets: frozenset[str]
    kept_back: frozenset[str] = frozenset()
    protected: frozenset[str]
    first_preview: FirstPreview
    #: Types of the cloud resources of a release stack.
    release_resources: tuple[str, ...] = ()

    @property
    def keys(self) -> type[Keys]:
        """The keys of a platform. Reading this imports the cloud's SDK."""
        return import_module(f"stacks.{self.name}").PlatformKeys

    def answer(self, cloud: Any) -> None:
        """Let the simulated cloud give this cloud's answers."""
        for kind, values in self.computed.items():
            cloud.computed[kind] = lambda _, values=values: dict(values)
        cloud.computed.update(self.derived)
        cloud.functions.update(self.functions)
