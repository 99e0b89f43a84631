"""Options of each operation, as the command line fills them in. ``stack`` is the stack's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Track = Literal["stable", "canary"]
Output = Literal["text", "json", "markdown", "prometheus"]


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """``wait``: seconds to wait for another command on the stack. ``output``: text for people, or one JSON document."""

    stack: str = "dev"
    wait: float = 0
    output: Output = "text"


@dataclass(frozen=True, kw_only=True)
class PreviewOptions(StackOptions):
    """``save``: also write the JSON document to this file."""

    save: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(StackOptions):
    """Options of the operations that edit the stack file and update the stack.

    ``yes``: do not ask. ``message``: the reason, for the history. ``only_config``: edit the file and stop. ``commit``:
    commit the file. ``force``: override a refusal. ``keep``: do not roll back a canary that fails. ``with_platform``:
    change the platform in the same update.
    """

    yes: bool = True
    message: str | None = None
    only_config: bool = False
    commit: bool = False
    force: bool = False
    keep: bool = False
    with_platform: bool = False


@dataclass(frozen=True, kw_only=True)
class CanaryOptions(ChangeOptions):
    """``image``: REPOSITORY@sha256:DIGEST, or ``source`` to build it. ``weight``: the Gateway's for the canary, in %.

    None stands for the default: the stack's weight, and replicas by it; with a new weight the image that is on trial.
    """

    image: str | None = None
    replicas: int | None = None
    stable_replicas: int | None = None
    weight: str | None = None
    traffic: Literal["split", "stable"] | None = None


@dataclass(frozen=True, kw_only=True)
class VerdictOptions(ChangeOptions):
    """Seconds of the ``trial``, and between two measurements (``every``; None for a default by the trial's length).

    ``warm_up``: seconds after a pod's start that do not count; None for the config key ``warmUpSeconds``.
    """

    trial: float = 300
    every: float | None = None
    warm_up: float | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions(CanaryOptions, VerdictOptions):
    """A canary and its verdict."""


@dataclass(frozen=True, kw_only=True)
class RollbackOptions(ChangeOptions):
    """``to``: the earlier image for stable; None removes the canary. ``reject``: record the canary as rejected."""

    to: str | None = None
    reject: bool = False


@dataclass(frozen=True, kw_only=True)
class TrafficOptions(ChangeOptions):
    """``to``: the tracks behind the public Service."""

    to: Literal["split", "stable", "canary"]


@dataclass(frozen=True, kw_only=True)
class UpOptions(ChangeOptions):
    """``set``: config keys to change first, each ``KEY=VALUE``.

    ``expect``: the reviewed preview, by its digest or its file; the update must do exactly that.
    """

    set: Sequence[str] = ()
    expect: str | None = None


@dataclass(frozen=True, kw_only=True)
class PruneOptions(ChangeOptions):
    """``yes``: delete without asking. Without a terminal and ``yes``, nothing is deleted."""

    yes: bool = False


@dataclass(frozen=True, kw_only=True)
class ReleaseStackOptions(ChangeOptions):
    """A release stack on the platform of the stack ``platform``; it runs ``image``, or "" to build one.

    ``update``: it may exist already. ``expires_in``: seconds until it may be destroyed; None for never.
    """

    platform: str = "dev"
    image: str = ""
    update: bool = False
    expires_in: float | None = None


@dataclass(frozen=True, kw_only=True)
class UnstackOptions(ChangeOptions):
    """``expired``: destroy all release stacks that have expired, not the stack ``stack``."""

    expired: bool = False


@dataclass(frozen=True, kw_only=True)
class StatusOptions(StackOptions):
    """``watch``: seconds between two reports; None reports once.

    ``ready_within``: seconds in which all tracks must become ready; None does not wait. ``exit_code``: end with DRIFTED
    if Git, the stack file, the last update and the cluster differ. ``ignore_image``: another image of stable in the
    stack file is no difference.
    """

    exit_code: bool = False
    ignore_image: bool = False
    watch: float | None = None
    ready_within: float | None = None


@dataclass(frozen=True, kw_only=True)
class HistoryOptions(StackOptions):
    """``all``: show every entry. ``figures``: show the delivery figures instead."""

    all: bool = False
    figures: bool = False


@dataclass(frozen=True, kw_only=True)
class DashboardOptions(StackOptions):
    """``all``: show every stack of the project. ``html``: write the page to this file instead of serving it."""

    all: bool = False
    html: str | None = None


@dataclass(frozen=True, kw_only=True)
class DiagnoseOptions(StackOptions):
    """``track``: only this track and what both share; None for all."""

    track: Track | None = None
