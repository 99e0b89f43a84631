"""Documents of a release in each state that the page shows, made by the readers' own functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from promotion.diagnosis.findings import Finding, diagnosis_json, diagnosis_text
from promotion.errors import CommandError
from promotion.operations.timeline import timeline, timeline_json
from promotion.page.document import failed_document, stack_document
from promotion.page.trial import trial_document
from promotion.state.git import Commit
from promotion.state.history import Change, Update, releases_of
from promotion.state.stack_state import DeployedTrack, StackState
from promotion.state.trial_record import RecordedTrial
from promotion.state.verdict_record import VerdictRecord
from promotion.status.drift import Drift
from promotion.status.live import LiveTrack, Served
from promotion.status.status import Status, status_json
from promotion.verdict.observation import Observation, TrackSeen
from promotion.verdict.result import Check, Estimate, Result, Verdict

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLD, NEW = (f"registry.example/addressbook@sha256:{digits * 16}" for digits in ("a1b2", "c3d4"))
DIGEST = NEW.partition("@")[2]
REVISIONS = {OLD: "1f0e3dad99908345f7439f8ffabdffc4e1c5a3b7", NEW: "7c4a8d09ca3762af61e59520943dc26494f8941b"}
PLANNED, EVERY = 300.0, 10.0
SLOW = Finding(
    "crash-loop",
    "container addressbook of the canary exits with code 1 soon after it starts",
    "Read its last lines, fix the image, and try it again; `rollback` removes the canary meanwhile.",
    ("Pod addressbook-canary-5488c9c597-v8jlj",),
    ("canary",),
    ("BackOff: back-off 40s restarting failed container",),
    ("Traceback (most recent call last):", "KeyError: 'DB_POOL_SIZE'"),
    "addressbook-canary-5488c9c597-v8jlj, container addressbook",
)
DRIFT = Drift(
    "deployed and cluster",
    "Deployment addressbook-stable was changed: spec.replicas is 4 in the cluster and was deployed as 3",
    "`python -m promotion up --stack prod` reverts it",
    "Deployment addressbook-stable was changed: spec.replicas differs in the cluster",
)


def live(image: str, wanted: int, share: float, served: Served | None, ready: int | None = None) -> LiveTrack:
    """Return a track as the cluster runs it."""
    up = wanted if ready is None else ready
    return LiveTrack(image, wanted, up, wanted, share, REVISIONS[image], served)


STABLE = live(OLD, 3, 75.0, Served(48211, 0.04, 4.21, 11.87))
CANARY = live(NEW, 1, 25.0, Served(16034, 0.05, 4.4, 12.31))
ALONE = live(OLD, 4, 100.0, Served(60120, 0.04, 4.19, 11.6))


def status(stack: str = "prod", **tracks: LiveTrack) -> Status:
    """Return a status with these tracks, all deployed as they run."""
    deployed = {name: DeployedTrack(track.image, track.wanted) for name, track in tracks.items()}
    last = Update(
        12, NOW - timedelta(minutes=6), "update", "canary: on trial", "succeeded", "Ada Lovelace", "", False, {}
    )
    outputs = {"url": "https://addressbook.example", "namespace": "addressbook", "traffic": "split"}
    state = StackState(deployed, frozenset(deployed))
    return Status(stack, outputs, state, tracks, "", None, None, last, "", taken=NOW)


def judged(result: str, image: str = NEW) -> VerdictRecord:
    """Return the record of a verdict."""
    return VerdictRecord(result, image.partition("@")[2], "2026-01-31T11:58:00Z")


def moves(*last: Update, stack: str = "prod") -> dict[str, Any]:
    """Return a timeline: a release, its canary, and ``last`` on top."""
    trial = (
        Change("canaryImage", "", NEW),
        Change("canaryReplicas", "", "1"),
        Change("stableReplicas", "4", "3"),
        Change("environment", '{"LOG_LEVEL": "info"}', '{"LOG_LEVEL": "debug"}'),
    )
    head = REVISIONS[NEW]
    updates = [
        *last,
        update(12, "canary: sha256:c3d4c3d4c3d4 on trial", 6, *trial),
        update(11, "up: nodes of the next size", 4000, Change("nodeSize", "s-2vcpu-4gb", "s-4vcpu-8gb")),
        replace(
            update(10, "promote: sha256:a1b2a1b2a1b2", 8000, Change("stableImage", "", OLD)), author="Grace Hopper"
        ),
    ]
    commit = Commit(head, NOW - timedelta(minutes=9), "Ada Lovelace", "Search persons by last name", trial)
    return timeline_json(stack, timeline(updates, [commit]), releases_of(updates))


def update(number: int, message: str, minutes: float, *changes: Change, result: str = "succeeded") -> Update:
    """Return an update that began so many minutes ago."""
    time = NOW - timedelta(minutes=minutes)
    return Update(number, time, "update", message, result, "Ada Lovelace", REVISIONS[NEW], False, {}, changes)


def checks(look: int, errors: float, result: Result = "inconclusive") -> list[Check]:
    """Return the checks after so many looks: ranges that narrow around the canary's differences."""
    rows = (("errors", errors, 0.01), ("refusals", errors + 0.002, 0.1), ("median latency", -0.012, 0.0))
    pods = [
        Check(name, "none", "none", f"1 pod, {look} looks", f"{name} of the pods", "healthy")
        for name in ("readiness", "restarts")
    ]
    judged = (result, "healthy", "healthy") if result != "inconclusive" else (result,) * 3
    return [*pods, *(_compared(look, *row, each) for row, each in zip(rows, judged, strict=True))]


def _compared(look: int, name: str, difference: float, limit: float, result: Result) -> Check:
    width = 0.03 / math.sqrt(look)
    now = difference + 0.001 * math.sin(look)
    estimate = Estimate(now, *((now - width, now + width) if look >= 3 else (None, None)), limit)
    value = f"{100 * max(0, now):.1f} %, stable 0.0 % ({100 * now:+.1f} points)"
    samples = f"{53 * look} canary, {160 * look} stable, {look} intervals"
    rule = f"share of {name}, canary minus stable"
    return Check(name, value, f"{100 * limit:+.1f} points", samples, rule, result, "", estimate)


def observations(looks: int, errors: float = 0.0) -> list[Observation]:
    """Return what a trial saw until its ``looks``-th look; the canary answers this share of requests with errors."""
    began = NOW - timedelta(seconds=looks * EVERY)
    seen = [Observation(began, "starting", "waiting for the canary's pods: 0 of 1 ready", 0.0, PLANNED, tracks(0, 0.0))]
    for look in range(1, looks + 1):
        line = f"{look * EVERY:.0f} s of 300 s"
        at = began + timedelta(seconds=look * EVERY)
        seen.append(
            Observation(at, "watching", line, look * EVERY, PLANNED, tracks(look, errors), checks(look, errors))
        )
    return seen


def tracks(look: int, errors: float) -> dict[Any, TrackSeen]:
    """Return both tracks at a look."""
    wave = 1 + 0.2 * math.sin(look / 3)
    figures = {"canary": (53 * wave, 100 * errors, 4.4 * wave, 12.3 * wave), "stable": (160 * wave, 0.04, 4.2, 11.9)}
    pods = {"canary": (NEW, 1), "stable": (OLD, 3)}
    return {name: TrackSeen(*pods[name], (), *(figures[name] if look else ())) for name in ("canary", "stable")}


def recorded(looks: int, result: Result | None = None, errors: float = 0.0, why: str = "") -> RecordedTrial:
    """Return a trial's record; with a ``result`` it is over, and with ``why`` the canary was rolled back."""
    trial = RecordedTrial(DIGEST, [each.as_json() for each in observations(looks, errors)])
    if result:
        reason = "2.9 % of the canary's requests are answered with an error, where 1.0 % may be"
        ended = [
            replace(each, reason=reason) if each.result == "unhealthy" else each
            for each in checks(looks, errors, result)
        ]
        trial.verdict = Verdict(result, DIGEST, ended, NOW - timedelta(seconds=looks * EVERY), NOW).as_json()
    if why:
        trial.rollback = {"time": "2026-01-31T11:59:00Z", "why": why, "diagnosis": diagnosis_text([SLOW])}
    return trial


def document(
    shown: Status,
    trial: RecordedTrial | None = None,
    findings: Sequence[Finding] = (),
    last: Sequence[Update] = (),
    *,
    running: bool = False,
) -> dict[str, Any]:
    """Return the document of one stack."""
    record = trial_document(trial, running=running) if trial else None
    names = {
        name: "Ada Lovelace" if track.image == NEW else "Grace Hopper" for name, track in (shown.live or {}).items()
    }
    found = diagnosis_json(findings)
    return stack_document(status_json(shown), record, found, moves(*last, stack=shown.stack), "", "", names)


def _unreachable() -> dict[str, Any]:
    shown = status(stable=STABLE, canary=CANARY)
    gone = replace(
        shown, live=None, unreachable="the cluster does not answer: connection to 203.0.113.7:6443 timed out"
    )
    moved = moves()
    return stack_document(status_json(gone), None, (), moved, "the cluster cannot be reached")


def _rolled_back() -> dict[str, Any]:
    gone = Change("canaryImage", NEW, "")
    back = update(13, "verdict: canary sha256:c3d4c3d4c3d4 removed: the canary is unhealthy", 1, gone)
    shown = replace(status(stable=ALONE), verdict=judged("unhealthy"))
    return document(shown, recorded(9, "unhealthy", 0.03, "the canary is unhealthy"), last=[back])


def _promoted() -> dict[str, Any]:
    new = live(NEW, 4, 100.0, Served(70410, 0.05, 4.38, 12.2))
    done = update(
        13, "promote: sha256:c3d4c3d4c3d4", 1, Change("stableImage", OLD, NEW), Change("canaryImage", NEW, "")
    )
    return document(replace(status(stable=new), verdict=judged("healthy")), recorded(30, "healthy"), last=[done])


def _several() -> list[dict[str, Any]]:
    first = document(
        replace(status(stable=STABLE, canary=CANARY), at_work="`promotion release` of ada"), recorded(12), running=True
    )
    broken = failed_document("feature-x", str(CommandError("there is no Pulumi.feature-x.yaml in this checkout")))
    return [first, document(status("staging", stable=ALONE)), broken]


BOTH = status(stable=STABLE, canary=CANARY)
AT_WORK = replace(BOTH, at_work="`promotion release` of ada on laptop (process 4711, since 2026-01-31T11:56:50Z)")
CRASHING = live(NEW, 1, 0.0, None, ready=0)
#: Each state's stacks.
STATES: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
    "no-canary": lambda: [document(replace(status(stable=ALONE), drift=[DRIFT]))],
    "trial-running": lambda: [document(AT_WORK, recorded(18), running=True)],
    "inconclusive": lambda: [
        document(replace(BOTH, verdict=judged("inconclusive")), recorded(30, "inconclusive", 0.008))
    ],
    "unhealthy": lambda: [document(status(stable=replace(STABLE, share=100.0), canary=CRASHING), None, [SLOW])],
    "rolled-back": lambda: [_rolled_back()],
    "promoted": lambda: [_promoted()],
    "unreachable": lambda: [_unreachable()],
    "several": _several,
}


def page_of(state: str) -> dict[str, Any]:
    """Return the page's document in a state."""
    return {"taken": NOW.isoformat(), "public": False, "stacks": STATES[state]()}


HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>", "javascript:alert(1)", "{{ 7 * 7 }}", "&lt;b&gt;", "]]>", "<!-- ",
)  # fmt: skip


def hostile(text: str) -> dict[str, Any]:
    """Return a page whose every text from elsewhere is hostile."""
    track = LiveTrack(text, 1, 0, 1, 0.0, text, None, text)
    outputs = {"url": text, "namespace": text, "traffic": text, "tracks": {"canary": {"settings": [text]}}}
    shown = replace(
        status(text, stable=track, canary=track),
        outputs=outputs,
        at_work=text,
        uncompared=text,
        drift=[Drift("git and file", text, text, text)],
        verdict=replace(judged("unhealthy"), result=text),
    )
    finding = Finding(text, text, text, (text,), (text,), (text,), (text,), text)
    record = recorded(6, "unhealthy", 0.03, text)
    named = [{**asdict(each), "name": text, "value": text, "rule": text} for each in checks(6, 0.03)]
    record.looks = [{**look, "line": text, "at": text, "checks": named} for look in record.looks]
    record.verdict = {
        "result": text,
        "reasons": [text],
        "notes": [text],
        "checks": named,
        "ended": text,
        "source": text,
    }
    change = Change(text, text, text), Change("canaryImage", text, text)
    page = document(shown, record, [finding], [replace(update(13, text, 1, *change), author=text, result=text)])
    authors = {"stable": text, "canary": text}
    stacks = [{**page, "authors": authors, "undiagnosed": text, "unread": text}, {**page}, failed_document(text, text)]
    return {"taken": text, "public": False, "stacks": stacks}
