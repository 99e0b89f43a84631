"""Kill the engine in the middle of a rehearsed stack's `up`, and recover as a user would."""

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
from promotion.state.stack_state import HARMLESS, resolve_pending
from tests.e2e.processes import descendants

WAIT_SECONDS = 120
IMPORT_OPTIONS = ("--yes", "--skip-preview", "--generate-code=false")
#: A cloud's plugin in which creating a resource of one type never ends.
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


def kill_engine_during(rehearsal: Rehearsal, kind: str) -> None:
    """Kill the engine of an `up` while a resource of this type is in the account but not yet in the state."""
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
    """Stop the engine and return True if its state is whole; a folder's state may be truncated, unlike a bucket's."""
    folder = rehearsal.folder / ".pulumi" / "stacks" / "addressbook"
    # Stop the engine alone: a thread that is starting a process stops only once that process runs.
    os.kill(engine.pid, signal.SIGSTOP)
    wait_for(lambda: all(_has_stopped(thread) for thread in Path(f"/proc/{engine.pid}/task").iterdir()))
    try:
        for name in (f"{rehearsal.stack}.json", f"{rehearsal.stack}.json.attrs"):
            json.loads((folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        os.kill(engine.pid, signal.SIGCONT)
        return False
    return True


def _has_stopped(thread: Path) -> bool:
    """Return whether a thread has stopped or ended; its writes are complete then."""
    try:
        return (thread / "stat").read_text().rpartition(") ")[2][0] == "T"
    except OSError:
        return True


def kill(engine: subprocess.Popen[bytes]) -> None:
    """Kill the engine and its plugins, but not the PostgreSQL servers that a simulated cloud has started."""
    plugins = [each for each in descendants(engine.pid) if each.parent == engine.pid]
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    # A plugin may still write to the account what it has begun.
    wait_for(lambda: not any(plugin.runs for plugin in plugins))


def pending(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """Return the state's interrupted creations, less those that leave nothing outside the state."""
    operations = rehearsal.state().get("pending_operations", [])
    assert {each["type"] for each in operations} == {"creating"}
    return [each["resource"] for each in operations if not each["resource"]["type"].startswith(HARMLESS)]


def records_missing_from(state: Mapping[str, Any], account: Account) -> list[Record]:
    """Return the account's records that the state lacks, by type and id: different types may share an id."""
    known = {(each["type"].rpartition(":")[2], each.get("id")) for each in state["resources"]}
    return [each for each in account.records() if (each.type, each.id) not in known]


def import_interrupted(rehearsal: Rehearsal) -> None:
    """Do what the message says: find each resource in the account, import those that exist, clear the rest."""
    missing = records_missing_from(rehearsal.state(), rehearsal.account)
    imported: list[str] = []
    interrupted = pending(rehearsal)
    for each, command in zip(interrupted, import_commands(interrupted), strict=True):
        if "ID" not in command:  # a Kubernetes object's id is its name, whether it exists or not
            rehearsal.pulumi(*command, *IMPORT_OPTIONS, check=False)
            continue
        inputs = {key: value for key, value in each["inputs"].items() if SIGNATURE_KEY not in json.dumps(value)}
        kind = each["type"].rpartition(":")[2]
        matching = [record.id for record in missing if record.type == kind and could_be(inputs, record.inputs)]
        if matching:  # otherwise the request never reached the cloud
            (id,) = matching
            imported.append(id)
            rehearsal.pulumi(*(id if word == "ID" else word for word in command), *IMPORT_OPTIONS)
    assert imported
    rehearsal.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")


def import_commands(interrupted: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the commands that `promotion up` suggests, one for each resource."""
    with pytest.raises(CommandError) as raised:
        resolve_pending({"pending_operations": [{"type": "creating", "resource": each} for each in interrupted]})
    return [shlex.split(command) for command in re.findall("`pulumi (import .*?)`", str(raised.value))]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s"
        time.sleep(0.05)
