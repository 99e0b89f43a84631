"""An `up` of a rehearsed stack whose engine is killed, and what its user does then."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.account import Account, Record
from lab.plugins.properties import SIGNATURE_KEY
from lab.project import CHECKOUT
from lab.rehearsal import Rehearsal, could_be
from promotion.errors import CommandError
from promotion.state.stack_state import HARMLESS, settled
from tests.e2e.processes import descendants

WAIT_SECONDS = 120
IMPORT_OPTIONS = ("--yes", "--skip-preview", "--generate-code=false")
#: The cloud's plugin, where what is made of one type is never done.
ENDLESS = """\
#!/bin/sh
PYTHONPATH='{checkout}' exec '{python}' -c '
import runpy, time
from lab.plugins.account import Account
put = Account.put
Account.put = lambda account, record: time.sleep(3600) if record.type == "{kind}" else put(account, record)
runpy.run_module("lab.plugins.{cloud}", run_name="__main__", alter_sys=True)
' "$@"
"""


def engine_killed(rehearsal: Rehearsal, kind: str) -> None:
    """An `up` whose engine is killed while something of this type is being made: the account has it, the state not."""
    plugin = rehearsal.folder / "bin" / f"pulumi-resource-{rehearsal.cloud}"
    real = plugin.read_text()
    plugin.write_text(ENDLESS.format(checkout=CHECKOUT, python=sys.executable, kind=kind, cloud=rehearsal.cloud))
    engine = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", rehearsal.stack, "--non-interactive"],
        cwd=rehearsal.program,
        env=rehearsal.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: any(each.type == kind for each in rehearsal.account.records()))
        wait_for(lambda: stopped_between_writes(engine, rehearsal))
    finally:
        kill(engine)
    plugin.write_text(real)
    rehearsal.pulumi("cancel", "--yes", check=False)  # the killed engine's lock


def stopped_between_writes(engine: subprocess.Popen[bytes], rehearsal: Rehearsal) -> bool:
    """Halt it while its state is whole: a folder's may be cut off in the middle of a write, a bucket's not."""
    folder = rehearsal.folder / ".pulumi" / "stacks" / "addressbook"
    # The engine alone: a thread that starts a process stands still only when that one has begun to run.
    os.kill(engine.pid, signal.SIGSTOP)
    wait_for(lambda: all(_stands(thread) for thread in Path(f"/proc/{engine.pid}/task").iterdir()))
    try:
        for name in (f"{rehearsal.stack}.json", f"{rehearsal.stack}.json.attrs"):
            json.loads((folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        os.kill(engine.pid, signal.SIGCONT)
        return False
    return True


def _stands(thread: Path) -> bool:
    """Whether a thread has got as far as to stop, or ended; what it was writing is written then."""
    try:
        return (thread / "stat").read_text().rpartition(") ")[2][0] == "T"
    except OSError:
        return True


def kill(engine: subprocess.Popen[bytes]) -> None:
    """End it at once, and its plugins; but not what they have started: the simulated cloud's PostgreSQL lives on."""
    plugins = [each for each in descendants(engine.pid) if each.parent == engine.pid]
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    # A plugin may still note in the account what it has begun.
    wait_for(lambda: not any(plugin.runs for plugin in plugins))


def pending(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """What the state says of resources outside it whose creation was cut off."""
    operations = rehearsal.state().get("pending_operations", [])
    assert {each["type"] for each in operations} == {"creating"}
    return [each["resource"] for each in operations if not each["resource"]["type"].startswith(HARMLESS)]


def unknown_to(state: Mapping[str, Any], account: Account) -> list[Record]:
    """What is in the account only; by type and id, since a cluster may have the id that its subnet group has."""
    known = {(each["type"].rpartition(":")[2], each.get("id")) for each in state["resources"]}
    return [each for each in account.records() if (each.type, each.id) not in known]


def taken_in(rehearsal: Rehearsal) -> None:
    """What its user does, as is said: looks for each in the account, imports what exists, and clears the notes."""
    unknown = unknown_to(rehearsal.state(), rehearsal.account)
    found: list[str] = []
    cut_off = pending(rehearsal)
    for each, command in zip(cut_off, import_commands(cut_off), strict=True):
        if "ID" not in command:  # an object of Kubernetes has its name for an id, whether it exists or not
            rehearsal.pulumi(*command, *IMPORT_OPTIONS, check=False)
            continue
        inputs = {key: value for key, value in each["inputs"].items() if SIGNATURE_KEY not in json.dumps(value)}
        kind = each["type"].rpartition(":")[2]
        matching = [record.id for record in unknown if record.type == kind and could_be(inputs, record.inputs)]
        if matching:  # else it was asked for, and the cloud has not heard of it
            (id,) = matching
            found.append(id)
            rehearsal.pulumi(*(id if word == "ID" else word for word in command), *IMPORT_OPTIONS)
    assert found
    rehearsal.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")


def import_commands(cut_off: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The commands that `python -m promotion up` gives, one for each resource."""
    with pytest.raises(CommandError) as raised:
        settled({"pending_operations": [{"type": "creating", "resource": each} for each in cut_off]})
    return [shlex.split(command) for command in re.findall("`pulumi (import .*?)`", str(raised.value))]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
