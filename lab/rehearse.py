"""`rehearse`: take a copy of a stack through its whole life, with its cloud simulated and everything else real."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from lab.elsewhere import another_build
from lab.errors import LabError
from lab.layout import Lab
from lab.plugins.account import FAULT_VARIABLE, FAULTS
from lab.plugins.simulated import NEXT_UP_CONTINUES
from lab.progress import say, step
from lab.rehearsal import Failed, Rehearsal, end, prepare, simulated_cloud
from lab.users import both_tracks, pod_names, ready, round_trip

#: How the message of a create that timed out names what it has left.
IMPORT_COMMAND = re.compile(r"`pulumi import (?P<type>\S+) \S+ (?P<id>\S+)`")
#: How the program says what pins the image that runs.
PIN_COMMAND = re.compile(r"`pulumi config set stableImage (?P<image>\S+)`")
REPLICAS_BESIDE_CANARY = 2  # as in the book: a canary of 1 beside a stable of 2


@dataclass
class Step:
    """A step of the rehearsal and how it ended; ``seen`` says by what that is known."""

    title: str
    ok: bool
    seconds: float
    seen: str


@dataclass
class Report:
    """What a rehearsal did, for machines; ``simulated`` says what was not real."""

    stack: str
    cloud: str
    steps: list[Step] = field(default_factory=list[Step])
    simulated: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.steps) and not self.left

    def json(self) -> str:
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2, ensure_ascii=False)


def rehearse(lab: Lab, stack: str, keep: bool = False, fault: str = "") -> Report:
    """Rehearse a stack on a lab that serves. Raises LabError for what can't be rehearsed."""
    rehearsal = prepare(lab, stack)
    report = Report(stack, rehearsal.cloud, changed=rehearsal.changed)
    for change in rehearsal.changed:
        say(f"  in the copy of the stack file: {change}")
    if left := rehearsal.left():
        say(f"  an earlier rehearsal has left {len(left)} resources: they are removed first")
        rehearsal.clear()
    kept = False
    try:
        _run(report, _life(rehearsal, report, fault, keep))
        kept = keep and report.ok
    finally:
        if kept:
            _tell_how_to_go_on(rehearsal)
        else:
            rehearsal.clear()
            report.left = rehearsal.left()
            rehearsal.close()
    return report


def check(stack: str, fault: str) -> str:
    """Whether this can be rehearsed at all, on this machine; the stack's cloud. Raises LabError."""
    cloud = simulated_cloud(stack)
    if fault and fault.partition(":")[0] not in FAULTS:
        known = "; ".join(f"{name}: {what}" for name, what in FAULTS.items())
        raise LabError(f"--fault {fault!r} is no fault that can be played. Write FAULT:TYPE; faults: {known}.")
    return cloud


Action = Callable[[], str]


def _life(rehearsal: Rehearsal, report: Report, fault: str, keep: bool) -> list[tuple[str, Action]]:
    """The steps, in order; each returns what was seen, or raises Failed."""
    begin = [("preview of an empty stack", lambda: _first_preview(rehearsal))]
    if fault:
        begin.append((f"up with the fault {fault}", lambda: _faulty_up(rehearsal, report, fault)))
    life: list[tuple[str, Action]] = [
        *begin,
        ("up", lambda: _up(rehearsal, report)),
        ("the API through the public Service", lambda: round_trip(rehearsal)),
        ("preview while nothing is pinned", lambda: _refused_unpinned(rehearsal)),
        ("stable pinned by config", lambda: _pin(rehearsal)),
        ("preview again", lambda: _no_changes(rehearsal)),
        ("canary by config", lambda: _canary(rehearsal)),
        ("the API through stable and canary", lambda: both_tracks(rehearsal, "stable", "canary")),
        ("refresh", lambda: _refresh(rehearsal)),
    ]
    if keep:
        return life
    return [
        *life,
        ("destroy while it is protected", lambda: _refused_destroy(rehearsal)),
        ("destroy without protection", lambda: _destroy(rehearsal, report)),
    ]


def _run(report: Report, life: list[tuple[str, Action]]) -> None:
    """Take the steps until one fails."""
    for title, action in life:
        began = time.monotonic()
        ok, seen = True, ""
        with step(title) as shown:
            try:
                seen = action()
            except Failed as failure:
                ok, seen = False, str(failure)
            shown.detail = seen.splitlines()[0] if ok and seen else ""
        report.steps.append(Step(title, ok, round(time.monotonic() - began, 1), seen))
        if not ok:
            say(f"✗ {title} failed: {seen}")
            return


def _first_preview(rehearsal: Rehearsal) -> str:
    rehearsal.pulumi("stack", "init")
    for path in rehearsal.secure:
        rehearsal.pulumi("config", "set", "--secret", "--path", path, "made-up")
    planned = json.loads(rehearsal.pulumi("preview", "--json").stdout)
    created = planned["changeSummary"].get("create", 0)
    if not created or set(planned["changeSummary"]) != {"create"}:
        raise Failed(f"the preview of an empty stack plans {planned['changeSummary']}")
    if rehearsal.account.records():
        raise Failed(f"the preview made {len(rehearsal.account.records())} resources in the account")
    return f"{created} resources to create, nothing made"


def _faulty_up(rehearsal: Rehearsal, report: Report, fault: str) -> str:
    done = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra={FAULT_VARIABLE: fault})
    _note_simulated(report, done.stdout)
    # The provider's word, or that of the program, which lists what it finds before it begins.
    lines = [line.strip() for line in done.stdout.splitlines() if "(simulated " in line]
    said = [line for line in lines if line.startswith(("error: ", "- ", "* "))]
    if done.returncode == 0 or not said:
        raise Failed(f"up ended with exit code {done.returncode} and no word about the fault:\n{end(done)}")
    if fault.startswith("timeout"):
        if match := IMPORT_COMMAND.search(said[0]):
            rehearsal.take_over((match["type"], match["id"]))
        elif NEXT_UP_CONTINUES not in said[0]:
            raise Failed(f"the message does not say what becomes of what was made: {said[0]}")
    return said[0]


def _up(rehearsal: Rehearsal, report: Report) -> str:
    done = rehearsal.pulumi("up", "--yes", "--skip-preview")
    _note_simulated(report, done.stdout)
    return f"{_count(rehearsal)} resources, {len(rehearsal.account.records())} of them in the simulated account"


def _note_simulated(report: Report, said: str) -> None:
    lines = {line.partition("simulated: ")[2].strip() for line in said.splitlines() if "simulated: " in line}
    report.simulated = sorted(lines.union(report.simulated))


def _count(rehearsal: Rehearsal) -> int:
    return len(rehearsal.state().get("resources", []))


def _no_changes(rehearsal: Rehearsal) -> str:
    rehearsal.pulumi("preview", "--diff", "--expect-no-changes")
    return "no changes"


def _refresh(rehearsal: Rehearsal) -> str:
    rehearsal.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    return "everything is as the state has it"


def _refused_unpinned(rehearsal: Rehearsal) -> str:
    """After its first update, production builds nothing by itself; what is said names what runs."""
    if rehearsal.config("buildFromSource") != "first":
        _no_changes(rehearsal)
        return "the stack may build from source: nothing to refuse"
    done = rehearsal.pulumi("preview", check=False)
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if PIN_COMMAND.search(line)]
    if done.returncode == 0 or not said:
        raise Failed(f"preview ended with exit code {done.returncode} and no word about a pin:\n{end(done)}")
    if PIN_COMMAND.findall(said[0]) != [_image(rehearsal, "stable")]:
        raise Failed(f"stable runs {_image(rehearsal, 'stable')}, and it is said: {said[0]}")
    return said[0]


def _pin(rehearsal: Rehearsal) -> str:
    """As the refusal says; what runs goes on running."""
    image, pods = _image(rehearsal, "stable"), pod_names(rehearsal, "stable")
    rehearsal.configure("stableImage", image)
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    if pod_names(rehearsal, "stable") != pods:
        raise Failed("pinning what runs has replaced pods")
    return f"{image}, in the same {len(pods)} pods"


def _image(rehearsal: Rehearsal, track: str) -> str:
    return str(rehearsal.outputs()["tracks"][track]["image"])


def _canary(rehearsal: Rehearsal) -> str:
    """A build of another repository, which is copied into the stack's own."""
    stable = _image(rehearsal, "stable")
    with another_build(rehearsal, stable) as image:
        for key, value in (
            ("canaryImage", image),
            ("canaryReplicas", "1"),
            ("stableReplicas", str(REPLICAS_BESIDE_CANARY)),
        ):
            rehearsal.configure(key, value)
        rehearsal.pulumi("up", "--yes", "--skip-preview")
    tracks = rehearsal.outputs()["tracks"]
    wanted = {"stable": REPLICAS_BESIDE_CANARY, "canary": 1}
    found = {name: ready(rehearsal, name) for name in wanted}
    if found != wanted:
        raise Failed(f"ready pods are {found}, and should be {wanted}")
    copied = f"{stable.partition('@')[0]}@{image.partition('@')[2]}"
    if tracks["canary"]["image"] != copied:
        raise Failed(f"the canary runs {tracks['canary']['image']}, and should run {copied}")
    shares = ", ".join(f"{name} {track['replicas']} ({track['share']} %)" for name, track in sorted(tracks.items()))
    return f"{shares}; {image} was copied to {copied.partition('@')[0]}"


def _refused_destroy(rehearsal: Rehearsal) -> str:
    """The engine says no; also to those who skip the preview, whose users are still served."""
    if rehearsal.config("deletionProtection") == "false":
        return "the stack is not protected: nothing to refuse"
    before = rehearsal.account.records()
    done = rehearsal.pulumi("destroy", "--yes", check=False)
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "cannot be deleted" in line]
    if done.returncode == 0 or not said:
        raise Failed(f"destroy ended with exit code {done.returncode} and no word about protection:\n{end(done)}")
    _no_changes(rehearsal)
    hasty = rehearsal.pulumi("destroy", "--yes", "--skip-preview", check=False)
    if hasty.returncode == 0 or rehearsal.account.records() != before:
        raise Failed("destroy --skip-preview deleted what is protected")
    round_trip(rehearsal)
    return said[0].partition("error: ")[2]


def _destroy(rehearsal: Rehearsal, report: Report) -> str:
    rehearsal.configure("deletionProtection", "false")
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    _note_simulated(report, rehearsal.pulumi("destroy", "--yes", "--skip-preview").stdout)
    if left := [*rehearsal.left(), *[f"{_count(rehearsal)} resources in the state"] * bool(_count(rehearsal))]:
        raise Failed(f"destroy has left: {', '.join(left)}")
    return "nothing is left"


def _tell_how_to_go_on(rehearsal: Rehearsal) -> None:
    say(f"Kept. To use it: cd {rehearsal.program} && . {rehearsal.write_environment()}")
    say("The next rehearsal, or `python -m lab down`, removes it.")
