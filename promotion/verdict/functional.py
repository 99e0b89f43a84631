"""Functional checks: commands in a canary pod, and creating and deleting a person through the canary's Service.

A check that fails at the canary is repeated at stable. If it fails there too, the canary is not to blame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.state.cluster.pods import Pod
from promotion.verdict.result import Check

#: The book's functional tests, for a service whose metrics say that it is the addressbook.
ADDRESSBOOK_COMMANDS: Sequence[Sequence[str]] = (("addressbook", "ping"), ("addressbook", "migrate"))
PERSON = {"firstName": "Verdict", "lastName": "Round Trip"}
OK, NOT_FOUND = 200, 404


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


def round_trip_check(cluster: Cluster) -> Check:
    """Create, read and delete a person through the canary's Service."""
    return _check(
        name="round trip",
        limit="4 correct answers",
        samples="4 requests to the canary's Service",
        rule="a person is created, read, deleted, and then gone",
        attempt=lambda track: round_trip(cluster, track),
    )


def round_trip(cluster: Cluster, track: Track) -> None:
    """Create, read and delete a person through the track's Service; leave nothing behind.

    Raises CheckFailed or UnreachableError.
    """
    person = _expect(cluster, track, "PUT", "/person", OK, PERSON)
    number = person.get("id")
    if type(number) is not int or {name: person.get(name) for name in PERSON} != PERSON:
        raise CheckFailed(f"PUT /person answers {json.dumps(person)[:200]}, which is not the person that was sent")
    path = f"/person/{number}"
    try:
        read = _expect(cluster, track, "GET", path, OK)
        if read != person:
            raise CheckFailed(f"GET {path} answers {json.dumps(read)[:200]}, which is not what PUT /person answered")
    finally:
        _expect(cluster, track, "DELETE", path, OK)
    _expect(cluster, track, "GET", path, NOT_FOUND)


def _expect(
    cluster: Cluster, track: Track, method: str, path: str, expected: int, form: dict[str, str] | None = None
) -> dict[str, Any]:
    status, body = cluster.through_service(track, method, path, form)
    if status != expected:
        raise CheckFailed(f"{method} {path} answers {status} instead of {expected}: {body.strip()[:200]}")
    try:
        return json.loads(body)
    except ValueError:
        raise CheckFailed(f"{method} {path} answers something that is not JSON: {body[:100]!r}") from None


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
