"""A class of Gateways that cannot do what the stack file asks of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contract.platform import TRAEFIK_CONTROLLER
from promotion.errors import CommandError
from promotion.operations.gateway_class import require_features
from promotion.operations.session import Session
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import OLD, TRIAL, Make

CLASS = {"metadata": {"name": "shared"}, "spec": {"controllerName": "example.com/controller"}}
TRAEFIK = {**CLASS, "spec": {"controllerName": TRAEFIK_CONTROLLER}}


def supporting(*features: str) -> dict[str, Any]:
    return {**CLASS, "status": {"supportedFeatures": [{"name": name} for name in features]}}


def read(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any] | None) -> list[str]:
    """Let the cluster have this class; return the names that are asked for."""
    asked: list[str] = []
    cluster = SimpleNamespace(gateway_class=lambda name: asked.append(name) or document)
    monkeypatch.setattr(Session, "cluster", lambda _: cluster)
    return asked


@pytest.mark.parametrize(
    ("document", "config", "message"),
    [
        (CLASS, {"sticky": "true"}, "'shared': `sticky` needs a class of Traefik"),
        (supporting("Gateway"), {}, "does not support HTTPRoute, the routes of every Gateway"),
        (supporting("Gateway", "HTTPRoute"), {"tls": "ours"}, "does not support HTTPRouteSchemeRedirect, the redirect"),
    ],
)
def test_a_missing_feature_is_one_sentence(
    make: Make, monkeypatch: pytest.MonkeyPatch, document: dict[str, Any], config: dict[str, str], message: str
):
    session, _ = make(stableImage=OLD, gateway="shared", canaryWeight="1", **config)
    read(monkeypatch, document)
    refused(lambda: require_features(session), session, message)


@pytest.mark.parametrize(
    ("document", "config"),
    [
        (None, {"sticky": "true"}),
        (TRAEFIK, {"sticky": "true"}),
        (CLASS, {"tls": "ours"}),
        (supporting("HTTPRoute"), {}),
        (supporting("HTTPRoute", "HTTPRouteSchemeRedirect"), {"tls": "ours"}),
        ({**CLASS, "status": {"supportedFeatures": ["HTTPRoute"]}}, {}),
    ],
)
def test_a_class_that_suffices_or_does_not_say_passes(
    make: Make, monkeypatch: pytest.MonkeyPatch, document: dict[str, Any] | None, config: dict[str, str]
):
    session, _ = make(stableImage=OLD, gateway="shared", **config)
    asked = read(monkeypatch, document)
    require_features(session)
    assert asked == ["shared"]


@pytest.mark.parametrize(
    ("config", "earlier"),
    [
        ({}, {}),
        ({"gateway": "managed"}, {}),
        ({"gateway": "traefik", "sticky": "true"}, {}),
        ({"gateway": "shared", "sticky": "true"}, {"gateway": "shared", "sticky": "true"}),
    ],
)
def test_a_class_is_read_before_its_first_use_only(
    make: Make, monkeypatch: pytest.MonkeyPatch, config: dict[str, str], earlier: dict[str, str]
):
    session, _ = make(stableImage=OLD, earlier=[earlier], **config)
    asked = read(monkeypatch, CLASS)
    require_features(session)
    assert asked == []


STICKY_TRIAL = {**TRIAL, "gateway": "traefik", "sticky": "true"}


@pytest.mark.parametrize("canary", [TRIAL, {"stableImage": OLD}], ids=["trial", "ended at once"])
def test_sticky_outlasts_a_trial_behind_the_own_traefik(make: Make, canary: dict[str, str]):
    session, _ = make(earlier=[STICKY_TRIAL], **canary, gateway="traefik")
    refused(lambda: require_features(session), session, "`sticky` is removed while a canary is on trial")
    session, _ = make(earlier=[{**STICKY_TRIAL, "canaryReplicas": "0"}], **canary, gateway="traefik")
    require_features(session)


def test_a_class_that_cannot_be_read_stops_nothing(make: Make, monkeypatch: pytest.MonkeyPatch):
    def unreachable(_: Session) -> None:
        raise CommandError("the cluster does not answer")

    session, _ = make(stableImage=OLD, gateway="shared", sticky="true")
    monkeypatch.setattr(Session, "cluster", unreachable)
    require_features(session)
