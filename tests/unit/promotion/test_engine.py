"""How the engine is run: an interruption reaches it once and its end is awaited; it outlives a killed command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pulumi import automation

from promotion.errors import UpdateInterruptedError
from promotion.state.engine_process import Engine

#: Stands in for the `pulumi` command: counts its interruptions, and takes its time to end.
ENGINE = """#!{python}
import os, signal, sys, time
from pathlib import Path
folder = Path(__file__).parent
if "version" in sys.argv:
    print("v3.259.0")
    sys.exit()
if "fail" in sys.argv:
    print("error: no such thing", file=sys.stderr)
    sys.exit(255)
if "argue" in sys.argv:
    print(*sys.argv[1:])
    sys.exit()
told = []
signal.signal(signal.SIGINT, lambda *_: told.append("SIGINT"))
(folder / "process").write_text(str(os.getpid()))
(folder / "process").rename(folder / "began")
for _ in range(600):
    if told or (folder / "finish").exists():
        break
    time.sleep(0.05)
time.sleep(0.5)
print("the end", flush=True)
(folder / "told").write_text(" ".join(told))
(folder / "ended").touch()
sys.exit(1 if told else 0)
"""

COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started the tests may have had ignored
from promotion.state.engine_process import Engine
try:
    Engine().run(["up"], ".", {})
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "pulumi"
    script.write_text(ENGINE.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def appears(file: Path) -> None:
    for _ in range(600):
        if file.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{file.name} has not come")


def test_what_it_printed_and_how_it_was_called(folder: Path):
    lines: list[str] = []
    done = Engine().run(["argue", "--stack", "dev"], str(folder), {}, on_output=lines.append)
    assert done.stdout == "--non-interactive argue --stack dev"
    assert lines == [done.stdout]
    assert done.code == 0


def test_a_failure_has_its_words(folder: Path):
    with pytest.raises(automation.CommandError, match="no such thing"):
        Engine().run(["fail"], str(folder), {})


def test_ctrl_c_reaches_it_once_and_its_end_is_awaited(folder: Path):
    # As a terminal does: the signal goes to the whole process group of the command.
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    appears(folder / "began")
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert (folder / "told").read_text() == "SIGINT", "once, and it has ended before the command did"
    assert "the engine was told so" in said


def test_it_outlives_a_killed_command(folder: Path):
    command = subprocess.Popen([sys.executable, "-c", COMMAND], start_new_session=True)
    appears(folder / "began")
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    (folder / "finish").touch()
    appears(folder / "ended")
    assert (folder / "told").read_text() == ""


def test_a_killed_engine_is_no_failure_of_what_it_was_at(folder: Path):
    killer = threading.Thread(
        target=lambda: (appears(folder / "began"), os.kill(int(began.read_text()), signal.SIGKILL))
    )
    began = folder / "began"
    killer.start()
    with pytest.raises(UpdateInterruptedError, match="SIGKILL"):
        Engine().run(["up"], str(folder), {})
    killer.join()
