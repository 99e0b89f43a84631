"""A stack in memory, and images and configs for operations on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from promotion.errors import CommandError
from promotion.operations.session import Session
from promotion.preview.planned import Change
from promotion.state.stack_file import StackFile

OLD, NEW, OTHER = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "abc")
RELEASE = "urn:pulumi:dev::addressbook::delivery:release:Release"
TIME = "2026-01-01T00:00:00Z"
TRIAL = {"stableImage": OLD, "canaryImage": NEW, "canaryReplicas": "1", "stableReplicas": "2"}
BOTH = {"stable": OLD, "canary": NEW}


@dataclass
class FakeStack:
    """A stack whose state has these tracks, with pods of an ``environment``; ``applied`` has the config of each update.

    ``excluded`` has what each update left alone; ``leaves_platform``, whether the program was to upgrade nothing;
    ``former_stable``, the digest that it need not verify.

    An update with a canary fails with ``error``, on the resource ``failing``. A preview has the errors ``forbidden``,
    the steps ``steps``, and ``changes``, after a refresh ``drift``; ``previewed`` are the outputs before and after it.
    ``platform`` are the URNs of the platform's resources. Leaving them out fails with ``inseparable``.
    """

    tracks: dict[str, str]
    file: StackFile
    name: str = "dev"
    error: CommandError | None = None
    failing: str = ""
    built: str = NEW
    available: bool = True
    environment: str = "env"
    excluded: list[list[str]] = field(default_factory=list[list[str]])
    leaves_platform: list[bool] = field(default_factory=list[bool])
    former_stable: list[str] = field(default_factory=list[str])
    forbidden: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    drift: tuple[Change, ...] = ()
    previewed: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    platform: tuple[str, ...] = ()
    inseparable: CommandError | None = None
    applied: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    messages: list[str] = field(default_factory=list[str])

    def export_stack(self) -> Any:
        resources = [
            resource
            for track, image in self.tracks.items()
            for resource in (
                {"urn": f"{RELEASE}$delivery:release:Track::{track}"},
                {
                    "urn": f"{RELEASE}$delivery:release:Track$kubernetes:apps/v1:Deployment::addressbook-{track}",
                    "inputs": {
                        "spec": {"template": {"spec": {"containers": [{"image": image, "env": self.environment}]}}}
                    },
                },
            )
        ]
        resources += [{"urn": urn} for urn in self.platform]
        return SimpleNamespace(deployment={"resources": resources})

    def up(self, config_file: Path | None, message: str) -> dict[str, Any]:
        if self.inseparable and {*self.platform} & {*self.excluded[-1]}:
            raise self.inseparable
        values = self.file.values(config_file.read_text() if config_file else None)
        self.applied.append(values)
        self.messages.append(message)
        if self.error and "canaryImage" in values:
            raise self.error
        return {"sourceImage": self.built} if values.get("buildAhead") else {}


Make = Callable[..., tuple[Session, FakeStack]]
