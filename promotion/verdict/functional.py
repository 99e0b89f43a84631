"""Functional checks: commands in a canary pod, and test requests through the canary's Service.

A check that fails at the canary is repeated at stable. If it fails there too, the canary is not to blame.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from contract.judging import TestRequest
from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.state.cluster.pods import Pod
from promotion.verdict.result import Check

#: A field of an earlier answer in a request's path.
SAVED = re.compile(r"\{(\w+)\}")


class CheckFailed(Exception):
    """A functional check failed; the message says how."""


def command_checks(cluster: Cluster, pods: dict[Track, Pod], commands: Sequence[Sequence[str]]) -> list[Check]:
    """Run each command in a ready canary pod; it must exit with 0."""

    def run(track: Track, command: Sequence[str]) -> None:
        if track not in pods:
            raise UnreachableError(f"no pod of {track} is ready")
        code, output = cluster.exec(pods[track], command)
        if code:
            last = output.splitlines()[-1] if output else "without output"
            raise CheckFailed(f"exit code {code}: {last[:300]}")

    return [
        _check(
            name=" ".join(command),
            limit="exit code 0",
            samples="1 run in a canary pod",
            rule="a command of the service, run in the canary",
            attempt=lambda track, command=command: run(track, command),
        )
        for command in commands
    ]


def request_check(cluster: Cluster, requests: Sequence[TestRequest]) -> Check:
    """Send the test requests through the canary's Service."""
    return _check(
        name="test requests",
        limit=f"{len(requests)} correct answers",
        samples=f"{len(requests)} requests to the canary's Service",
        rule="the service's test requests, answered as expected",
        attempt=lambda track: send_all(cluster, track, requests),
    )


def send_all(cluster: Cluster, track: Track, requests: Sequence[TestRequest]) -> None:
    """Send the requests through the track's Service; after a failure only those that delete.

    Raises CheckFailed or UnreachableError, of the first failure.
    """
    saved: dict[str, Any] = {}
    failure: CheckFailed | UnreachableError | None = None
    for request in requests:
        if failure and not request.send.startswith("DELETE "):
            continue
        try:
            _send(cluster, track, request, saved)
        except (CheckFailed, UnreachableError) as error:
            failure = failure or error
    if failure:
        raise failure


def _send(cluster: Cluster, track: Track, request: TestRequest, saved: dict[str, Any]) -> None:
    """Send one request; add the fields that it saves to ``saved``."""
    method, path = request.send.split(" ", 1)
    if unknown := sorted(set(SAVED.findall(path)) - saved.keys()):
        raise CheckFailed(f"{request.send} cannot be sent: no answer had `{unknown[0]}`")
    path = SAVED.sub(lambda name: quote(str(saved[name[1]]), safe=""), path)
    status, text = cluster.through_service(track, method, path, request.form, request.body)
    if status != request.status:
        raise CheckFailed(f"{method} {path} answers {status} instead of {request.status}: {text.strip()[:200]}")
    if not request.answer and not request.save:
        return
    answer = _json(text, f"{method} {path}")
    wrong = [name for name, value in request.answer.items() if answer.get(name) != value]
    wrong += [name for name in request.save if name not in answer]
    if wrong:
        raise CheckFailed(f"{method} {path} answers {text.strip()[:200]}, where `{wrong[0]}` is not as expected")
    saved.update({name: answer[name] for name in request.save})


def _json(text: str, request: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CheckFailed(f"{request} answers something that is not a JSON object: {text[:100]!r}")
    return cast(Mapping[str, Any], answer)


def _check(name: str, limit: str, samples: str, rule: str, attempt: Callable[[Track], None]) -> Check:
    at_canary = _failure(attempt, "canary")
    if not at_canary:
        return Check(name, "works", limit, samples, rule, "healthy")
    at_stable = _failure(attempt, "stable")
    if not at_stable:
        return Check(name, "fails", limit, samples, rule, "unhealthy", at_canary)
    both = f"{at_canary}; but it fails at stable too ({at_stable}): look for a shared cause"
    return Check(name, "fails", limit, samples, rule, "inconclusive", both)


def _failure(attempt: Callable[[Track], None], track: Track) -> str:
    """Return how the attempt failed; "" if it worked."""
    try:
        attempt(track)
    except (CheckFailed, UnreachableError) as error:
        return str(error)
    return ""
