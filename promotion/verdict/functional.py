"""What the canary can do when it is asked: commands in a pod of it, and a person's life through its own Service.

What fails at the canary is asked of stable too: where that fails the same way, the canary is not to blame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from kubernetes.client import V1Pod

from promotion.state.cluster.cluster import Cluster, Track, UnreachableError
from promotion.verdict.result import Check

#: The book's functional tests, for a service that says of itself that it is the addressbook.
ADDRESSBOOK_COMMANDS: Sequence[Sequence[str]] = (("addressbook", "ping"), ("addressbook", "migrate"))
PERSON = {"firstName": "Verdict", "lastName": "Round Trip"}
FOUND, NOT_FOUND = 200, 404


class Failed(Exception):
    """What was asked of a track did not work; the message says how."""


def command_checks(cluster: Cluster, pods: dict[Track, V1Pod], commands: Sequence[Sequence[str]]) -> list[Check]:
    """Run each command in a ready pod of the canary: it must end with 0."""

    def run(track: Track, command: Sequence[str]) -> None:
        if track not in pods:
            raise UnreachableError(f"no pod of {track} is ready")
        code, output = cluster.exec(pods[track], command)
        if code:
            last = output.splitlines()[-1] if output else "it says nothing"
            raise Failed(f"exit code {code}: {last[:300]}")

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
    """Create, read and delete a person through the canary's own Service."""
    return _check(
        name="round trip",
        limit="4 right answers",
        samples="4 requests to the canary's Service",
        rule="a person is created, read, deleted, and then gone",
        attempt=lambda track: round_trip(cluster, track),
    )


def round_trip(cluster: Cluster, track: Track) -> None:
    """A person's life through the track's own Service. Raises Failed or UnreachableError; leaves nobody behind."""
    person = _expect(cluster, track, "PUT", "/person", FOUND, PERSON)
    number = person.get("id")
    if type(number) is not int or {name: person.get(name) for name in PERSON} != PERSON:
        raise Failed(f"PUT /person answers {json.dumps(person)[:200]}, which is not the person that was sent")
    path = f"/person/{number}"
    try:
        read = _expect(cluster, track, "GET", path, FOUND)
        if read != person:
            raise Failed(f"GET {path} answers {json.dumps(read)[:200]}, which is not what PUT /person answered")
    finally:
        _expect(cluster, track, "DELETE", path, FOUND)
    _expect(cluster, track, "GET", path, NOT_FOUND)


def _expect(
    cluster: Cluster, track: Track, method: str, path: str, expected: int, form: dict[str, str] | None = None
) -> dict[str, Any]:
    status, body = cluster.through_service(track, method, path, form)
    if status != expected:
        raise Failed(f"{method} {path} answers {status} where {expected} is right: {body.strip()[:200]}")
    try:
        return json.loads(body)
    except ValueError:
        raise Failed(f"{method} {path} answers something that is not JSON: {body[:100]!r}") from None


def _check(name: str, limit: str, samples: str, rule: str, attempt: Callable[[Track], None]) -> Check:
    at_canary = _tried(attempt, "canary")
    if not at_canary:
        return Check(name, "it works", limit, samples, rule, "healthy")
    at_stable = _tried(attempt, "stable")
    if not at_stable:
        return Check(name, "it fails", limit, samples, rule, "unhealthy", at_canary)
    both = f"{at_canary}; but it fails at stable too ({at_stable}): look for the cause in what both use"
    return Check(name, "it fails", limit, samples, rule, "inconclusive", both)


def _tried(attempt: Callable[[Track], None], track: Track) -> str:
    """How it failed; empty when it worked."""
    try:
        attempt(track)
    except (Failed, UnreachableError) as error:
        return str(error)
    return ""
