"""The screen of a running trial, in a pseudo-terminal and as a picture."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from contract.project import PROJECT_ROOT
from promotion.verdict.observation import Observation, Phase, PodSeen, TrackSeen
from promotion.verdict.result import Check, Estimate
from promotion.verdict.screen import Screen, has_screen, range_picture, watching

TERMINAL = {"TERM": "xterm-256color"}
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
#: A command whose trial shows two looks, and then waits for Ctrl-C or ends by itself.
COMMAND = """
import signal, sys
from promotion import cli
from promotion.operations import verdict
from promotion.verdict.screen import watching
from tests.unit.promotion.verdict.test_screen import observation

def trial(options):
    with watching(sys.stdout) as observe:
        observe(observation(seconds=10))
        observe(observation(seconds=20))
        if options.keep:
            signal.pause()
    print("the verdict")
    return 0

verdict.verdict = trial
sys.exit(cli.main(["verdict", "--stack", "dev", *sys.argv[1:]]))
"""


def observation(phase: Phase = "watching", seconds: float = 30, **changes: Estimate) -> Observation:
    """Return an observation of a minute's trial with two canary pods, one of which crashes."""
    pods = [PodSeen("canary-1", True, 0, ""), PodSeen("canary-2", False, 2, "CrashLoopBackOff")]
    image = f"registry/shop@sha256:{'c' * 64}"
    tracks = {
        "canary": TrackSeen(image, 3, pods, 120, 2.5, 3.21, 9.1),
        "stable": TrackSeen(image, 1, [PodSeen("stable-1", True, 0, "")]),
    }
    estimate = changes.get("estimate", Estimate(0.002, -0.004, 0.008, 0.01))
    checks = [
        Check("readiness", "4 not ready", "3", "looks", "rule", "unhealthy", "why"),
        Check("errors", "2.5 %", "+1.0 points", "samples", "rule", "inconclusive", "early", estimate),
    ]
    now = datetime.now(UTC)
    return Observation(now, phase, f"line at {seconds:g}", seconds, 60, tracks, checks)  # pyright: ignore[reportArgumentType]


def drawn(seen: Observation, later: float = 0) -> str:
    """Return the screen's text, so many seconds after the observation."""
    times = iter([0.0, 0.0, later])
    screen = Screen(lambda: next(times))
    screen.update(seen)
    out = io.StringIO()
    Console(file=out, width=120).print(screen.picture())
    return out.getvalue()


def test_the_screen_shows_pods_figures_and_ranges():
    text = drawn(observation(), later=5)
    lines = text.splitlines()
    assert "0:35 of 1:00, 0:25 left" in lines[0]
    canary = next(line for line in lines if line.startswith("canary "))
    assert re.sub(" +", " ", canary).strip() == "canary ■ □ □ 1 of 3 120 2.5 % 3.2 ms 9.1 ms"
    assert "canary-2: CrashLoopBackOff" in text
    assert next(line for line in lines if "readiness" in line).startswith("✗")
    errors = next(line for line in lines if "errors" in line)
    assert "-0.4 to +0.8 points" in errors
    assert "+1.0 points" in errors
    assert lines[-1] == "line at 30"


def test_brackets_of_a_command_are_text():
    seen = observation()
    commands = [Check("awk -F[/:] [red]", "works [/]", "exit code 0", "1 run", "rule", "healthy")]
    text = drawn(replace(seen, checks=commands))
    assert "awk -F[/:] [red]" in text
    assert "works [/]" in text


def test_before_the_trial_the_screen_names_the_phase():
    assert "warming up" in drawn(observation("warming up", 0)).splitlines()[0]


@pytest.mark.parametrize(
    ("estimate", "picture", "colour"),
    [
        (Estimate(0.0, -0.05, 0.05, 0.1), "············━━━●━━━··│·········", "green"),
        (Estimate(0.0, -0.30, 0.15, 0.1), "◀━━━━━━━━━━━━━━●━━━━━│━━━······", "yellow"),
        (Estimate(0.2, 0.15, 0.40, 0.1), "·····················│··━━━●━━▶", "red"),
        (Estimate(-0.1, -0.2, 0.1, 0.0), "···━━━━━━●━━━━━│━━━━━━·········", "yellow"),
    ],
    ids=["below", "around", "above", "limit of zero"],
)
def test_a_range_narrows_on_a_fixed_scale(estimate: Estimate, picture: str, colour: str):
    text = range_picture(estimate)
    assert text.plain == picture
    assert any(colour in str(span.style) for span in text.spans)


def test_a_range_that_is_not_known_is_not_drawn():
    text = drawn(observation(estimate=Estimate(0.02, None, None, 0.01)))
    assert "+2.0 points, range not known yet" in text
    assert "━" not in text


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"),
    [
        (TERMINAL, True, True),
        (TERMINAL, False, False),
        ({}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({**TERMINAL, "CI": "true"}, True, False),
        ({**TERMINAL, "NO_COLOR": "1"}, True, False),
    ],
)
def test_lines_where_a_screen_is_not_wanted(environment: Mapping[str, str], is_terminal: bool, expected: bool):
    class Out(io.TextIOWrapper):
        def isatty(self) -> bool:
            return is_terminal

    assert has_screen(Out(io.BytesIO(), encoding="utf-8"), environment) is expected
    assert not has_screen(Out(io.BytesIO(), encoding="latin-1"), environment)


@pytest.mark.parametrize("is_terminal", [False, True], ids=["no terminal", "JSON"])
def test_without_a_screen_each_look_is_a_line(monkeypatch: pytest.MonkeyPatch, is_terminal: bool):
    out = io.StringIO()
    monkeypatch.setattr("promotion.verdict.screen.has_screen", lambda *_: is_terminal)
    with watching(out, only_lines=is_terminal) as observe:
        observe(observation(seconds=10))
        observe(observation(seconds=20))
    assert out.getvalue() == "line at 10\nline at 20\n"


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--keep"], 130)], ids=["ends", "Ctrl-C"])
def test_the_screen_leaves_the_terminal_clean(arguments: list[str], code: int):
    terminal, child = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 120))
    before = termios.tcgetattr(terminal)
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")} | TERMINAL
    command = [sys.executable, "-c", COMMAND, *arguments]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, stdin=child, stdout=child, stderr=child, start_new_session=True
    ) as process:
        try:
            os.close(child)
            shown = read_until(terminal, "line at 20")
            assert HIDE in shown
            assert "0:20 of 1:00" in CODES.sub("", shown)
            if code:
                process.send_signal(signal.SIGINT)
            shown += read_until(terminal)
            assert termios.tcgetattr(terminal) == before
            assert process.wait(30) == code
        finally:
            process.kill()
    os.close(terminal)
    _, _, end = shown.rpartition(SHOW)
    assert HIDE not in end
    assert "\x1b[2K" in shown.rpartition("line at 20")[2]  # the lines of the screen are erased
    assert "Trial of the canary" not in end
    assert ("the verdict" if code == 0 else "error: interrupted") in end


def read_until(terminal: int, text: str = "") -> str:
    """Return what the terminal shows until the text, or until the command ends."""
    shown = b""
    while not text or text.encode() not in shown:
        assert select.select([terminal], [], [], 60)[0], shown.decode(errors="replace")
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        shown += part
        if not part:
            break
    return shown.decode(errors="replace")
