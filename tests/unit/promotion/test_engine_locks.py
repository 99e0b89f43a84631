"""The engine's locks on a stack: who holds them, and which are stale."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from promotion.state.locks import EngineLock, engine_locks

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
    """A process called pulumi, as the engine is."""
    script = tmp_path / "pulumi"
    script.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(script), "60"])
    yield process
    process.kill()
    process.wait()


def lock(process: int, host: str = socket.gethostname(), url: str = "file:///nowhere/1.json") -> EngineLock:
    return EngineLock(url, "ada", host, process, "2026-11-23T01:03:26Z")


def test_the_engines_message_names_its_locks():
    first, second = engine_locks(MESSAGE)
    assert (first.user, first.host, first.process, first.since) == ("ada", "vm", 7330, "2026-11-23T01:03:26Z")
    assert (second.user, second.host, second.process) == ("CORP\\bob", "ci-7", 12)
    assert first.holder == "ada on vm (process 7330, since 2026-11-23T01:03:26Z)"


def test_a_backend_without_lock_files_names_none():
    assert engine_locks("[409] Conflict: Another update is currently in progress.") == []


def test_the_lock_of_a_running_engine_is_not_stale(engine: subprocess.Popen[bytes]):
    assert not lock(engine.pid).is_stale
    assert not lock(engine.pid).is_orphaned, "this process is its parent"


def test_a_killed_engines_lock_is_stale_even_as_a_zombie(engine: subprocess.Popen[bytes]):
    engine.kill()
    os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert lock(engine.pid).is_stale
    engine.wait()
    assert lock(engine.pid).is_stale


def test_another_process_with_the_same_id_is_no_engine():
    assert lock(os.getpid()).is_stale


def test_another_hosts_lock_is_never_stale():
    assert not lock(2**22 + 1, host="another-machine").is_stale


def test_deleting_a_lock_deletes_its_attributes_too(tmp_path: Path):
    path = tmp_path / "a b.json"
    for file in (path, Path(f"{path}.attrs"), tmp_path / "other.json"):
        file.write_text("{}")
    assert lock(1, url=f"file://{tmp_path}/a%20b.json?no_tmp_dir=true").delete()
    assert [file.name for file in tmp_path.iterdir()] == ["other.json"]
    assert lock(1, url=f"file://{tmp_path}/a%20b.json").delete(), "deleted already"


def test_only_the_engine_deletes_a_lock_in_a_bucket():
    assert not lock(1, url="s3://bucket/1.json").delete()


def test_an_engine_whose_command_was_killed_is_orphaned(tmp_path: Path):
    script = tmp_path / "pulumi"
    script.symlink_to("/bin/sleep")
    started = subprocess.run(
        ["sh", "-c", f"'{script}' 60 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    )
    process = int(started.stdout)
    try:
        assert not lock(process).is_stale
        parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
        if parent != "1":
            pytest.skip("on this machine another process than 1 adopts orphans")
        assert lock(process).is_orphaned
    finally:
        os.kill(process, 9)
