"""The engine's process: interrupted once, awaited to its end, and alive after its command is killed."""

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
from promotion.state.engine_process import EngineProcess

#: A fake `pulumi` command that counts its interruptions and ends slowly.
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
signals = []
signal.signal(signal.SIGINT, lambda *_: signals.append("SIGINT"))
(folder / "process").write_text(str(os.getpid()))
(folder / "process").rename(folder / "began")
for _ in range(600):
    if signals or (folder / "finish").exists():
        break
    time.sleep(0.05)
time.sleep(0.5)
print("the end", flush=True)
(folder / "signals").write_text(" ".join(signals))
(folder / "ended").touch()
sys.exit(1 if signals else 0)
"""

COMMAND = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM):  # as the command line does; the tests' parent may ignore SIGINT
    signal.signal(number, signal.default_int_handler)
from promotion.state.engine_process import EngineProcess
try:
    EngineProcess().run(["up"], ".", {})
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


def wait_for(file: Path) -> None:
    for _ in range(600):
        if file.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{file.name} has not appeared")


def test_arguments_and_output(folder: Path):
    lines: list[str] = []
    done = EngineProcess().run(["argue", "--stack", "dev"], str(folder), {}, on_output=lines.append)
    assert done.stdout == "--non-interactive argue --stack dev"
    assert lines == [done.stdout]
    assert done.code == 0


def test_a_failure_has_the_engines_message(folder: Path):
    with pytest.raises(automation.CommandError, match="no such thing"):
        EngineProcess().run(["fail"], str(folder), {})


def test_ctrl_c_arrives_once_and_the_end_is_awaited(folder: Path):
    # As a terminal does: the signal goes to the whole process group of the command.
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    wait_for(folder / "began")
    os.killpg(command.pid, signal.SIGINT)
    _, stderr = command.communicate(timeout=60)
    assert command.returncode == 130
    assert (folder / "signals").read_text() == "SIGINT", "once, and it ended before the command"
    assert "the engine finishes its current step first" in stderr


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (["SIGINT", "SIGTERM"], "SIGINT"),  # a cancelled job of GitHub Actions
        (["SIGTERM"], "SIGINT"),
        (["SIGTERM", "SIGTERM"], "SIGINT"),
        (["SIGINT", "SIGINT"], "SIGINT SIGINT"),  # a person who cannot wait
    ],
)
def test_sigterm_after_an_interruption_is_not_passed_on(folder: Path, sent: list[str], received: str):
    command = subprocess.Popen([sys.executable, "-c", COMMAND], start_new_session=True)
    wait_for(folder / "began")
    for name in sent:
        os.killpg(command.pid, signal.Signals[name])
        time.sleep(0.2)
    assert command.wait(timeout=60) == 130
    assert (folder / "signals").read_text() == received


def test_the_engine_outlives_a_killed_command(folder: Path):
    command = subprocess.Popen([sys.executable, "-c", COMMAND], start_new_session=True)
    wait_for(folder / "began")
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    (folder / "finish").touch()
    wait_for(folder / "ended")
    assert (folder / "signals").read_text() == ""


def test_a_killed_engine_is_an_interruption_not_a_failure(folder: Path):
    killer = threading.Thread(
        target=lambda: (wait_for(folder / "began"), os.kill(int(began.read_text()), signal.SIGKILL))
    )
    began = folder / "began"
    killer.start()
    with pytest.raises(UpdateInterruptedError, match="SIGKILL"):
        EngineProcess().run(["up"], str(folder), {})
    killer.join()
