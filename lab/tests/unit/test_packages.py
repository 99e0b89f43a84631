"""Missing packages, and installing them without starting services."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import packages


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", path)
    return path


def test_services_cannot_start_during_an_installation(policy: Path) -> None:
    with packages._no_services_started():
        assert "exit 101" in policy.read_text()
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_a_failed_installation_removes_the_policy(policy: Path) -> None:
    with pytest.raises(RuntimeError), packages._no_services_started():
        raise RuntimeError
    assert not policy.exists()


def test_the_machines_own_policy_stays(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 0\n")
    with packages._no_services_started():
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    packages.remove_policy()
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_the_policy_of_a_killed_run_is_removed(policy: Path) -> None:
    policy.write_text(f"#!/bin/sh\n{packages.POLICY_MARK}\nexit 101\n")
    packages.remove_policy()
    assert not policy.exists()


def test_missing_programs_are_reported_as_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "search_path", lambda: str(tmp_path))
    monkeypatch.setattr(packages, "CNI_FOLDERS", (tmp_path,))
    monkeypatch.setattr(packages, "BUSYBOX", tmp_path / "busybox")
    missing = packages.missing()
    assert {"docker.io", "etcd-server", "containernetworking-plugins", "busybox-static"} <= set(missing)
    for program in packages.PROGRAMS:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    for name in (*packages.CNI_PLUGINS, "busybox"):
        (tmp_path / name).touch()
    assert packages.missing() == []


def test_search_path_has_the_system_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/home/me/bin:/usr/bin")
    folders = packages.search_path().split(":")
    assert folders[:2] == ["/home/me/bin", "/usr/bin"]
    assert "/usr/sbin" in folders
    assert len(folders) == len(set(folders))
