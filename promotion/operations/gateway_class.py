"""Refuse a Gateway whose class cannot do what the stack file asks of it, before its first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from contract.platform import TRAEFIK, TRAEFIK_CONTROLLER
from contract.settings import ReleaseSettings
from promotion.errors import WRONG_USE, CommandError
from promotion.operations.session import Session
from promotion.state.history import Update
from stacks.entrance import MANAGED

#: Names of features (Gateway API, pkg/features). Weights and matches of headers are in the core of HTTPRoute.
CORE, REDIRECT = "HTTPRoute", "HTTPRouteSchemeRedirect"
#: Keys that decide what the class must support.
KEYS = ("gateway", "tls", "canaryWeight", "canaryHeader", "sticky")


def require_features(session: Session) -> None:
    """Raise CommandError if the cluster's class lacks a feature that the stack file needs.

    Does nothing if the keys are those of the last update, or if the class cannot be read: the cluster does not exist
    yet, the credentials may not read it, or it says nothing of its features. A stack that brings its own class may not
    remove `sticky` during a trial.
    """
    values = session.file.values()
    name = values.get("gateway", "")
    if name == TRAEFIK:
        _keep_sticky_during_trial(session)
    if name in ("", MANAGED, TRAEFIK) or _is_used(session, values):
        return
    try:
        document = session.cluster().gateway_class(name)
    except CommandError:
        return
    if document and (missing := missing_feature(document, session.release, ends_tls=bool(values.get("tls")))):
        raise CommandError(f"gateway = {name!r}: {missing}", WRONG_USE)


def _keep_sticky_during_trial(session: Session) -> None:
    """Raise CommandError if Traefik would forget its TraefikService before the route leaves it: users would get 500."""
    try:
        applied = _last_applied(session)
    except CommandError:
        return
    config: Mapping[str, str] = applied.config if applied else {}
    has_canary = config.get("canaryImage") and config.get("canaryReplicas", "0") != "0"
    if has_canary and config.get("sticky") == "true" and not session.release.sticky:
        raise CommandError(
            f"{session.file.path.name}: `sticky` is removed while a canary is on trial, and the route still needs it;"
            " set it again, end the trial with `promote` or `rollback`, and remove it then",
            WRONG_USE,
        )


def _last_applied(session: Session) -> Update | None:
    return next((update for update in session.updates() if update.is_applied), None)


def _is_used(session: Session, values: Mapping[str, str]) -> bool:
    try:
        applied = _last_applied(session)
    except CommandError:
        return True  # the way back must not depend on the history
    return applied is not None and all(applied.config.get(key, "") == values.get(key, "") for key in KEYS)


def missing_feature(document: Mapping[str, Any], release: ReleaseSettings, *, ends_tls: bool) -> str:
    """Return what a GatewayClass lacks for the release, and what to do; "" if it lacks nothing, or does not say."""
    if release.sticky and document.get("spec", {}).get("controllerName") != TRAEFIK_CONTROLLER:
        return (
            "`sticky` needs a class of Traefik, and this one has another controller; use `gateway: traefik`, or remove"
            " `sticky`"
        )
    reported: list[Any] = document.get("status", {}).get("supportedFeatures", [])
    # Before version 1.3 of the Gateway API, a feature was its name alone.
    features = {str(cast(Any, each)["name"]) if isinstance(each, Mapping) else str(each) for each in reported}
    needed = {CORE: "the routes of every Gateway"}
    if ends_tls:
        needed[REDIRECT] = "the redirect from HTTP to HTTPS"
    for feature, purpose in needed.items():
        if features and feature not in features:
            return f"the class does not support {feature}, {purpose}; choose another (`kubectl get gatewayclass`)"
    return ""
