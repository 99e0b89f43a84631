"""`rehearse`: take a copy of a stack through its whole life. Its cloud is simulated; everything else is real."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

from lab.errors import LabError
from lab.first_day import begin_destroy, steps_beside_canary
from lab.foreign_image import foreign_image
from lab.layout import Lab
from lab.losses import Drill
from lab.plugins.account import FAULT_VARIABLE, FAULTS
from lab.plugins.simulated import NEXT_UP_CONTINUES
from lab.progress import say, step
from lab.project import SmokeTestError, smoke_test
from lab.rehearsal import Rehearsal, StepFailed, last_lines, prepare, simulated_cloud
from lab.tracks import check_both_tracks, pod_names, ready_replicas

#: In the message of a create that timed out: how to import the resource.
IMPORT_COMMAND = re.compile(r"`pulumi import (?P<type>\S+) \S+ (?P<id>\S+)`")
#: In the program's message: how to pin the running image.
PIN_COMMAND = re.compile(r"`pulumi config set stableImage (?P<image>\S+)`")
#: In the program's message when it refuses a config or an account before it starts.
REFUSAL = "nothing was changed"
REPLICAS_BESIDE_CANARY = 2  # a canary of 1 beside a stable of 2


@dataclass
class Step:
    """A step of the rehearsal, how it ended, and what was observed."""

    title: str
    ok: bool
    seconds: float
    seen: str


@dataclass
class Report:
    """The result of a rehearsal, ready for JSON."""

    stack: str
    cloud: str
    steps: list[Step] = field(default_factory=list[Step])
    simulated: list[str] = field(default_factory=list[str])
    """Parts that were simulated."""
    changed: list[str] = field(default_factory=list[str])
    """Changes in the copy of the stack file."""
    left: list[str] = field(default_factory=list[str])
    """Leftovers that could not be removed."""

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.steps) and not self.left

    def json(self) -> str:
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2, ensure_ascii=False)


def rehearse(
    lab: Lab, stack: str, keep: bool = False, fault: str = "", restore: bool = False, first_day: bool = False
) -> Report:
    """Rehearse a stack on a lab that serves. Raises LabError if the stack cannot be rehearsed.

    ``first_day``: meet each fault of a first day in turn, besides ``fault``, and overcome it.
    """
    rehearsal = prepare(lab, stack)
    report = Report(stack, rehearsal.cloud, changed=rehearsal.changed)
    for change in rehearsal.changed:
        say(f"  in the copy of the stack file: {change}")
    if left := rehearsal.left():
        say(f"  removing {len(left)} resources of an earlier rehearsal")
        rehearsal.clear()
    kept = False
    try:
        _run(report, _life(rehearsal, report, fault, keep, restore, first_day))
        kept = keep and report.ok
    finally:
        if kept:
            _say_how_to_continue(rehearsal)
        else:
            rehearsal.clear()
            report.left = rehearsal.left()
            rehearsal.close()
    return report


def check(stack: str, fault: str) -> str:
    """Return the stack's cloud. Raises LabError if the stack or the fault cannot be rehearsed."""
    cloud = simulated_cloud(stack)
    if fault and not {each.partition(":")[0] for each in fault.split(",")} <= FAULTS.keys():
        known = "; ".join(f"{name}: {what}" for name, what in FAULTS.items())
        raise LabError(f"--fault {fault!r} is not a known fault. Write FAULT:TYPE, with one of these faults: {known}.")
    return cloud


Action = Callable[[], str]


def _life(
    rehearsal: Rehearsal, report: Report, fault: str, keep: bool, restore: bool, first_day: bool
) -> list[tuple[str, Action]]:
    """Return the steps in order. Each returns what was observed, or raises StepFailed or SmokeTestError."""
    simulation = rehearsal.simulation
    faults = [*(simulation.first_day if first_day else ()), *([fault] if fault else [])]
    life: list[tuple[str, Action]] = [
        ("preview of an empty stack", lambda: _first_preview(rehearsal)),
        *((f"up with the fault {each}", partial(_faulty_up, rehearsal, report, each)) for each in faults),
        ("up", lambda: _up(rehearsal, report)),
        ("the API through the public Service", lambda: _smoke_test(rehearsal)),
        ("preview while nothing is pinned", lambda: _refused_unpinned(rehearsal)),
        ("stable pinned by config", lambda: _pin(rehearsal)),
        ("preview again", lambda: _no_changes(rehearsal)),
        ("canary by config", lambda: _canary(rehearsal)),
        ("the API through stable and canary", lambda: check_both_tracks(rehearsal, "stable", "canary")),
        ("refresh", lambda: _refresh(rehearsal)),
        *(steps_beside_canary(rehearsal) if first_day else []),
        *(Drill(rehearsal).steps() if restore else []),
    ]
    if keep:
        return life
    return [
        *life,
        ("destroy while it is protected", lambda: _refused_destroy(rehearsal)),
        *([("destroy while a site does not answer", lambda: begin_destroy(rehearsal))] if first_day else []),
        ("destroy without protection", lambda: _destroy(rehearsal, report)),
    ]


def _run(report: Report, life: list[tuple[str, Action]]) -> None:
    """Run the steps until one fails."""
    for title, action in life:
        started = time.monotonic()
        ok, seen = True, ""
        with step(title) as progress:
            try:
                seen = action()
            except (StepFailed, SmokeTestError) as failure:
                ok, seen = False, str(failure)
            progress.detail = seen.splitlines()[0] if ok and seen else ""
        report.steps.append(Step(title, ok, round(time.monotonic() - started, 1), seen))
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
        raise StepFailed(f"the preview of an empty stack plans {planned['changeSummary']}")
    if rehearsal.account.records():
        raise StepFailed(f"the preview created {len(rehearsal.account.records())} resources in the account")
    return f"{created} resources to create, none created"


def _faulty_up(rehearsal: Rehearsal, report: Report, fault: str) -> str:
    result = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False, extra={FAULT_VARIABLE: fault})
    _note_simulated(report, result.stdout)
    # The error is the provider's, or the program's own, which checks the account before it starts.
    lines = [line.strip() for line in result.stdout.splitlines()]
    errors = [line for line in lines if line.startswith(("error: ", "- ", "* ")) and "(simulated " in line]
    if REFUSAL in result.stdout:
        errors += [line for line in lines if line.startswith("- ")]
    if result.returncode == 0 or not errors:
        raise _unexpected_end("up", result, "without an error about the fault")
    if fault.startswith("timeout"):
        if match := IMPORT_COMMAND.search(errors[0]):
            rehearsal.take_over((match["type"], match["id"]))
        elif NEXT_UP_CONTINUES not in errors[0]:
            raise StepFailed(f"the message does not say what happens to the created resource: {errors[0]}")
    return "\n".join(errors)


def _unexpected_end(command: str, result: subprocess.CompletedProcess[str], how: str) -> StepFailed:
    return StepFailed(f"{command} ended with exit code {result.returncode} {how}:\n{last_lines(result)}")


def _smoke_test(rehearsal: Rehearsal) -> str:
    return smoke_test(str(rehearsal.outputs()["url"]))


def _up(rehearsal: Rehearsal, report: Report) -> str:
    _note_simulated(report, rehearsal.pulumi("up", "--yes", "--skip-preview").stdout)
    return f"{_count(rehearsal)} resources, {len(rehearsal.account.records())} of them in the simulated account"


def _note_simulated(report: Report, output: str) -> None:
    lines = {line.partition("simulated: ")[2].strip() for line in output.splitlines() if "simulated: " in line}
    report.simulated = sorted(lines.union(report.simulated))


def _count(rehearsal: Rehearsal) -> int:
    return len(rehearsal.state().get("resources", []))


def _no_changes(rehearsal: Rehearsal) -> str:
    rehearsal.pulumi("preview", "--diff", "--expect-no-changes")
    return "no changes"


def _refresh(rehearsal: Rehearsal) -> str:
    rehearsal.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    return "the resources match the state"


def _refused_unpinned(rehearsal: Rehearsal) -> str:
    """Check that production builds nothing after its first update, and that the message names the running image."""
    if rehearsal.config("buildFromSource") != "first":
        _no_changes(rehearsal)
        return "nothing to refuse: the stack may build from source"
    result = rehearsal.pulumi("preview", check=False)
    errors = _lines_with(result, PIN_COMMAND)
    if result.returncode == 0 or not errors:
        raise _unexpected_end("preview", result, "without naming the image to pin")
    if PIN_COMMAND.findall(errors[0]) != [_image(rehearsal, "stable")]:
        raise StepFailed(f"stable runs {_image(rehearsal, 'stable')}, but the message is: {errors[0]}")
    return errors[0]


def _lines_with(result: subprocess.CompletedProcess[str], pattern: re.Pattern[str]) -> list[str]:
    return [line.strip() for line in (result.stdout + result.stderr).splitlines() if pattern.search(line)]


def _pin(rehearsal: Rehearsal) -> str:
    """Pin the running image as the message says; no pod may be replaced."""
    image, pods = _image(rehearsal, "stable"), pod_names(rehearsal, "stable")
    rehearsal.configure("stableImage", image)
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    if pod_names(rehearsal, "stable") != pods:
        raise StepFailed("pinning the running image has replaced pods")
    return f"{image}, in the same {len(pods)} pods"


def _image(rehearsal: Rehearsal, track: str) -> str:
    return str(rehearsal.outputs()["tracks"][track]["image"])


def _canary(rehearsal: Rehearsal) -> str:
    """Release an image of another repository, which is copied into the stack's own."""
    stable = _image(rehearsal, "stable")
    with foreign_image(rehearsal, stable) as image:
        for key, value in (
            ("canaryImage", image),
            ("canaryReplicas", "1"),
            ("stableReplicas", str(REPLICAS_BESIDE_CANARY)),
        ):
            rehearsal.configure(key, value)
        rehearsal.pulumi("up", "--yes", "--skip-preview")
    tracks = rehearsal.outputs()["tracks"]
    expected = {"stable": REPLICAS_BESIDE_CANARY, "canary": 1}
    actual = {name: ready_replicas(rehearsal, name) for name in expected}
    if actual != expected:
        raise StepFailed(f"ready pods: {actual}, expected: {expected}")
    copied = f"{stable.partition('@')[0]}@{image.partition('@')[2]}"
    if tracks["canary"]["image"] != copied:
        raise StepFailed(f"the canary runs {tracks['canary']['image']}, expected: {copied}")
    shares = ", ".join(f"{name} {track['replicas']} ({track['share']} %)" for name, track in sorted(tracks.items()))
    return f"{shares}; {image} was copied to {copied.partition('@')[0]}"


def _refused_destroy(rehearsal: Rehearsal) -> str:
    """Check that the engine refuses, with and without a preview, and that users are still served."""
    if rehearsal.config("deletionProtection") == "false":
        return "nothing to refuse: the stack is not protected"
    before = rehearsal.account.records()
    result = rehearsal.pulumi("destroy", "--yes", check=False)
    errors = _lines_with(result, re.compile("cannot be deleted"))
    if result.returncode == 0 or not errors:
        raise _unexpected_end("destroy", result, "without an error about protection")
    _no_changes(rehearsal)
    unpreviewed = rehearsal.pulumi("destroy", "--yes", "--skip-preview", check=False)
    if unpreviewed.returncode == 0 or rehearsal.account.records() != before:
        raise StepFailed("destroy --skip-preview deleted protected resources")
    _smoke_test(rehearsal)
    return errors[0].partition("error: ")[2]


def _destroy(rehearsal: Rehearsal, report: Report) -> str:
    if rehearsal.config("deletionProtection") != "false":  # else a `destroy` has begun
        rehearsal.configure("deletionProtection", "false")
        rehearsal.pulumi("up", "--yes", "--skip-preview")
    _note_simulated(report, rehearsal.pulumi("destroy", "--yes", "--skip-preview").stdout)
    if left := [*rehearsal.left(), *[f"{_count(rehearsal)} resources in the state"] * bool(_count(rehearsal))]:
        raise StepFailed(f"destroy left resources behind: {', '.join(left)}")
    return "nothing is left"


def _say_how_to_continue(rehearsal: Rehearsal) -> None:
    say(f"Kept. To use it: cd {rehearsal.program} && . {rehearsal.write_environment()}")
    say("The next rehearsal, or `python -m lab down`, removes it.")
