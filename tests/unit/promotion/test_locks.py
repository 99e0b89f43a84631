"""Locks on a stack: whose they are, and whether anybody still holds them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from promotion.state.engine_locks import Lock, locks_named

#: As the engine (3.259.0) writes it.
MESSAGE = """error: the stack is currently locked by 2 lock(s). Either wait for the other process(es) to end or delete \
the lock file with `pulumi cancel`.
  file:///srv/state/.pulumi/locks/organization/addressbook/dev/1118.json?no_tmp_dir=true: created by ada@vm (pid 7330) \
at 2026-11-23T01:03:26Z
  s3://bucket/.pulumi/locks/organization/addressbook/dev/22.json: created by CORP\\bob@ci-7 (pid 12) at \
2026-11-23T01:03:27Z
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called pulumi, as the engine is."""
    script = tmp_path / "pulumi"
    script.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(script), "60"])
    yield process
    process.kill()
    process.wait()


def lock(process: int, host: str = socket.gethostname(), url: str = "file:///nowhere/1.json") -> Lock:
    return Lock(url, "ada", host, process, "2026-11-23T01:03:26Z")


def test_the_engines_message_names_them():
    first, second = locks_named(MESSAGE)
    assert (first.user, first.host, first.process, first.since) == ("ada", "vm", 7330, "2026-11-23T01:03:26Z")
    assert (second.user, second.host, second.process) == ("CORP\\bob", "ci-7", 12)
    assert first.holder == "ada on vm (process 7330, since 2026-11-23T01:03:26Z)"


def test_a_backend_without_lock_files_names_none():
    assert locks_named("[409] Conflict: Another update is currently in progress.") == []


def test_an_engine_at_work_is_not_dead(engine: subprocess.Popen[bytes]):
    assert not lock(engine.pid).dead
    assert not lock(engine.pid).abandoned, "this process is its parent"


def test_a_killed_engine_is_dead_even_before_its_parent_has_noticed(engine: subprocess.Popen[bytes]):
    engine.kill()
    os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert lock(engine.pid).dead
    engine.wait()
    assert lock(engine.pid).dead


def test_another_process_that_got_the_number_is_no_engine():
    assert lock(os.getpid()).dead


def test_what_runs_elsewhere_is_never_called_dead():
    assert not lock(2**22 + 1, host="another-machine").dead


def test_the_file_of_a_lock_is_removed_with_what_belongs_to_it(tmp_path: Path):
    path = tmp_path / "a b.json"
    for file in (path, Path(f"{path}.attrs"), tmp_path / "other.json"):
        file.write_text("{}")
    assert lock(1, url=f"file://{tmp_path}/a%20b.json?no_tmp_dir=true").remove()
    assert [file.name for file in tmp_path.iterdir()] == ["other.json"]
    assert lock(1, url=f"file://{tmp_path}/a%20b.json").remove(), "gone already"


def test_a_lock_in_a_bucket_is_left_to_the_engine():
    assert not lock(1, url="s3://bucket/1.json").remove()


def test_an_engine_whose_command_was_killed_is_abandoned(tmp_path: Path):
    script = tmp_path / "pulumi"
    script.symlink_to("/bin/sleep")
    started = subprocess.run(
        ["sh", "-c", f"'{script}' 60 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    )
    process = int(started.stdout)
    try:
        assert not lock(process).dead
        parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
        if parent != "1":
            pytest.skip("this machine gives orphans to another process than the first")
        assert lock(process).abandoned
    finally:
        os.kill(process, 9)
