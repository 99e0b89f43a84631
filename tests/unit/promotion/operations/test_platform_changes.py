"""A step of the release never changes the platform by the way."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, cast

import pytest

from promotion.errors import CommandError
from promotion.operations.canary import prepare_trial, start_trial
from promotion.operations.options import ReleaseOptions, TrafficOptions, UpOptions
from promotion.operations.promote import promote_canary
from promotion.operations.rollback import FOUND_UNHEALTHY, remove_canary, restore_stable, roll_back_canary
from promotion.operations.session import Session
from promotion.operations.traffic import traffic
from promotion.operations.update import apply
from promotion.preview.planned import Change, goes_back
from promotion.preview.reviewed import ReviewedPreview
from promotion.preview.steps import digest_of_steps
from promotion.state.stack_state import is_platform
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, TRIAL, FakeStack, Make

URN = "urn:pulumi:dev::addressbook::"
NODES = f"{URN}delivery:aws:Cluster$aws:eks/nodeGroup:NodeGroup::nodes"
#: What the state does not have yet, as a wildcard.
UNMADE = "**::delivery:aws:**"
ADDON = f"{URN}delivery:aws:Cluster$delivery:aws:NodeAddons$aws:eks/addon:Addon::vpc-cni"
UPGRADE = Change("update", "aws:eks/addon:Addon", "vpc-cni", ("addonVersion",), platform=True)
POD = Change("update", "kubernetes:apps/v1:Deployment", "addressbook-stable", ("spec.replicas",))
NAMED = r"update Addon vpc-cni: addonVersion\nApply these changes first with `python -m promotion up --stack dev`"
SPLIT = {"tracks": {"stable": {"image": OLD, "replicas": 3, "share": 100}}, "traffic": "split"}
MOVED = {"tracks": {"stable": {"image": NEW, "replicas": 3, "share": 100}}, "traffic": "split"}


def on_trial(make: Make, command: str, *, cloud: str = "aws", **options: Any) -> tuple[Session, FakeStack]:
    """Open a session on a trial whose platform has been changed by its provider."""
    forced = {"force": True, **options}
    session, stack = make(command, BOTH, options=forced, **TRIAL, stableReplicasAfterTrial="3", cloud=cloud)
    stack.platform, stack.drift = (NODES, ADDON), (UPGRADE, POD)
    return session, stack


def put_on_trial(session: Session) -> None:
    start_trial(session, prepare_trial(session, cast(ReleaseOptions, session.options)))


def give_all_users(session: Session, to: str = "canary") -> Callable[[], int]:
    options = TrafficOptions(**{**{"to": to, "force": True}, "with_platform": session.options.with_platform})
    return lambda: traffic(options)


FORWARD: dict[str, Callable[[Session], object]] = {
    "canary": put_on_trial,
    "promote": promote_canary,
    "traffic": lambda session: give_all_users(session)(),
}
BACK: dict[str, Callable[[Session], object]] = {
    "rollback": remove_canary,
    "undo": lambda session: restore_stable(session, OLD),
    "verdict": lambda session: roll_back_canary(session, FOUND_UNHEALTHY, cast(Any, "a diagnosis")),
    "traffic": lambda session: give_all_users(session, "stable")(),
}


@pytest.fixture(autouse=True)
def no_outputs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Session, "answer", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("command", "image"), [("canary", NEW), ("canary", "source"), ("promote", NEW), ("traffic", NEW)]
)
def test_a_step_forward_with_the_platform_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch, command: str, image: str
):
    session, stack = on_trial(make, command, image=image)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    refused(lambda: FORWARD[command](session), session, NAMED)
    assert not stack.applied, "not even an image is built"


@pytest.mark.parametrize("command", FORWARD)
@pytest.mark.parametrize("allowed", [{"with_platform": True}, {"cloud": "local"}])
def test_with_platform_allows_it(make: Make, monkeypatch: pytest.MonkeyPatch, command: str, allowed: dict[str, Any]):
    session, stack = on_trial(make, command, **allowed)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    FORWARD[command](session)
    assert stack.applied
    assert stack.excluded == [[]]
    assert stack.leaves_platform == [False]


@pytest.mark.parametrize("command", BACK)
def test_the_way_back_leaves_the_platform(make: Make, monkeypatch: pytest.MonkeyPatch, command: str):
    session, stack = on_trial(make, command)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    BACK[command](session)
    assert stack.excluded == [[NODES, ADDON, UNMADE]]
    assert stack.leaves_platform == [True]
    assert not session.engine.excluded, "the next update is whole again"
    assert not session.engine.leaves_platform
    assert "this update leaves the platform as it is" in cast(io.StringIO, session.console.out).getvalue()


def test_the_way_back_includes_what_cannot_be_left(make: Make):
    session, stack = on_trial(make, "rollback")
    stack.inseparable = CommandError("provider default_7_1_0 has not been registered yet")
    assert remove_canary(session)
    assert stack.excluded == [[NODES, ADDON, UNMADE], []]
    assert stack.leaves_platform == [True, True], "also the whole update upgrades nothing"
    assert "canaryImage" not in stack.applied[-1]


def test_a_failing_preview_restores_the_file(make: Make, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object, **__: object) -> None:
        raise CommandError("the API does not answer")

    session, stack = on_trial(make, "promote")
    monkeypatch.setattr("promotion.operations.update.plan", unreachable)
    refused(lambda: promote_canary(session), session, "does not answer", code=1)
    assert not session.changed
    assert not stack.applied


@pytest.mark.parametrize("changes", [(UPGRADE,), (POD,)])
@pytest.mark.parametrize("after", [SPLIT, MOVED, {}])
def test_up_refuses_both_in_one_update(make: Make, changes: tuple[Change, ...], after: dict[str, Any]):
    session, stack = make("up", stableImage=NEW, cloud="aws")
    stack.drift, stack.previewed = changes, (SPLIT, after)
    session = Session("up", UpOptions(), session.file, session.console, session.engine)
    update = lambda: apply(session, session.file.edited({"stableReplicas": "4"}), "", platform="apply", preview=True)  # noqa: E731
    if changes == (UPGRADE,) and after not in (SPLIT, {}):
        refused(update, session, "Apply the platform's changes in an update of their own first, or add --with-platform")
        assert not stack.applied
    else:
        assert update()


def test_a_reviewed_update_does_not_mix_them_either(make: Make):
    """A release's job in CI has neither the rights nor the time for the platform."""
    session, stack = make("up", stableImage=NEW, cloud="aws")
    stack.drift, stack.previewed = (UPGRADE,), (SPLIT, MOVED)
    session = Session("up", UpOptions(), session.file, session.console, session.engine)
    reviewed = ReviewedPreview(digest_of_steps(stack.steps))
    refused(
        lambda: apply(session, session.file.text(), "", platform="apply", reviewed=reviewed),
        session,
        "in an update of their own first",
    )
    assert not stack.applied


DIGEST, EARLIER = OLD.partition("@")[2], NEW.partition("@")[2]
CANARY = {"stable": {"image": OLD}, "canary": {"image": NEW}}


@pytest.mark.parametrize(
    ("edits", "tracks", "expected"),
    [
        ({"stableImage": OLD}, CANARY, True),
        ({"stableImage": OLD, "canaryImage": NEW, "canaryReplicas": "0"}, CANARY, True),
        ({"stableImage": NEW, "migratedImage": EARLIER}, {"stable": {"image": OLD}}, True),
        ({"stableImage": NEW, "migratedImage": DIGEST}, CANARY, False),
        ({"stableImage": NEW}, CANARY, False),
        ({"stableImage": OLD}, {"stable": {"image": OLD}}, False),
        (TRIAL, CANARY, False),
        ({}, CANARY, False),
        ({"stableImage": OLD}, {}, False),
        ({"stableImage": OLD, "cloud": "local"}, CANARY, False),
        ({"stableImage": OLD, "platformStack": "prod"}, CANARY, False),
    ],
)
def test_an_update_to_an_earlier_version_goes_back(edits: dict[str, str], tracks: dict[str, Any], expected: bool):
    assert goes_back({"cloud": "aws", **edits}, {"tracks": tracks}) is expected


@pytest.mark.parametrize(
    ("urn", "expected"),
    [
        (NODES, True),
        (f"{URN}kubernetes:core/v1:Namespace::namespace", True),
        (f"{URN}delivery:local:LocalDatabase$kubernetes:apps/v1:StatefulSet::database", True),
        (f"{URN}delivery:aws:Cluster::cluster", False),
        (f"{URN}delivery:aws:Cluster$pulumi:providers:kubernetes::kubernetes", False),
        (f"{URN}pulumi:pulumi:Stack::addressbook-dev", False),
        (f"{URN}delivery:release:Release$delivery:release:Track$kubernetes:core/v1:Service::addressbook-stable", False),
        (f"{URN}addressbook:release:Release$pulumi-python:dynamic/release:ImageCopy::image-abc", False),
    ],
)
def test_the_platform_is_all_outside_the_release(urn: str, expected: bool):
    assert is_platform(urn) is expected
