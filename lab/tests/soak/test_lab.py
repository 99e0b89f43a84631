"""The lab itself: what it offers, what it survives, and that it leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lab.tests.soak import lab_traces
from lab.tests.soak.second_lab import NAME, NETWORK, PATIENCE, SecondLab, second_lab
from lab.tests.soak.second_lab import workload as manifests
from tests.project import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="the lab needs root on Linux")


@pytest.fixture(scope="module")
def machine() -> lab_traces.Traces:
    """The machine before the second lab was started."""
    return lab_traces.take(NAME, NETWORK)


@pytest.fixture(scope="module")
def second(machine: lab_traces.Traces) -> Iterator[SecondLab]:
    """A second lab, not running."""
    assert machine
    lab = second_lab()
    lab.run("down")
    try:
        yield lab
    finally:
        lab.run("down")


@pytest.fixture
def serving(second: SecondLab) -> SecondLab:
    """The second lab, running."""
    second.up()
    return second


@pytest.fixture
def workload(serving: SecondLab) -> Iterator[SecondLab]:
    """The second lab with a database on a volume and a web server behind a load balancer."""
    serving.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests()))
    serving.kubectl("-n", "try", "wait", "--for=condition=Ready", "pod", "--all", f"--timeout={PATIENCE}s")
    try:
        yield serving
    finally:
        serving.kubectl("delete", "namespace", "try", "--ignore-not-found")


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.2)


def _answer(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.status


def _answers(url: str) -> bool:
    try:
        return _answer(url) == 200
    except OSError:
        return False


def _address(lab: SecondLab) -> str:
    service = json.loads(lab.kubectl("-n", "try", "get", "service", "web", "-o", "json"))
    return service["status"]["loadBalancer"]["ingress"][0]["ip"]


def _sql(lab: SecondLab, statement: str) -> str:
    login = "postgresql://keeper:correct%20horse@database.try.svc.cluster.local/book"
    return lab.kubectl("-n", "try", "exec", "database", "--", "psql", login, "-Atc", statement).strip()


def test_missing_go_is_installed_from_pypi(tmp_path: Path) -> None:
    script = (
        "from lab import golang; from lab.layout import Lab\n"
        "import subprocess; subprocess.run([golang.find(Lab.from_environment()), 'version'], check=True)"
    )
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "install Go from PyPI" in done.stderr
    assert "go1.26" in done.stdout


def test_second_up_changes_nothing(serving: SecondLab) -> None:
    before = serving.supervisor()
    printed = serving.up()
    assert "✓" not in printed
    assert serving.supervisor() == before
    status = serving.status()
    assert status["serving"] is True
    assert set(status["components"].values()) == {"RUNNING"}


def test_pods_dns_load_balancers_and_volumes_work(workload: SecondLab) -> None:
    address = _address(workload)
    assert address.startswith("10.213.1.")
    assert _answer(f"http://{address}/") == 200
    # One login covers DNS, kube-proxy and the official image's interface.
    assert _sql(workload, "select current_user || '@' || current_database()") == "keeper@book"
    assert "database system is ready" in workload.kubectl("-n", "try", "logs", "database")
    volumes = Path(f"/var/lib/{NAME}/volumes")
    assert len(list(volumes.iterdir())) == 1
    workload.kubectl("delete", "namespace", "try")
    _until(lambda: not list(volumes.iterdir()), "the claim's folder is removed")


def test_wrong_database_password_is_refused(workload: SecondLab) -> None:
    login = "postgresql://keeper:wrong@database.try.svc.cluster.local/book"
    done = subprocess.run(
        ["kubectl", "-n", "try", "exec", "database", "--", "psql", login, "-c", "select 1"],
        env=workload.shell(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


def test_built_and_pushed_image_runs_in_the_cluster(serving: SecondLab, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.11-slim-bookworm\nRUN python -c \"open('/built','w').write('yes')\"\n"
        'USER 10001\nCMD ["cat", "/built"]\n'
    )
    reference = "10.213.0.1:5000/built:1"
    docker = shutil.which("docker", path="/usr/bin") or "docker"
    environment = {**serving.shell(), "DOCKER_BUILDKIT": "1"}
    for command in (["build", "--network=host", f"--tag={reference}", str(tmp_path)], ["push", reference]):
        done = subprocess.run([docker, *command], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
    try:
        serving.kubectl("run", "built", f"--image={reference}", "--restart=Never")
        serving.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/built", f"--timeout={PATIENCE}s")
        assert serving.kubectl("logs", "built") == "yes"
    finally:
        serving.kubectl("delete", "pod", "built", "--ignore-not-found", "--now")


def test_killed_component_restarts(workload: SecondLab) -> None:
    for component in ("etcd", "kube-apiserver", "containerd", "kubelet"):
        before = _pid_of(component)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        _until(lambda name=component, old=before: _pid_of(name) not in (None, old), f"{component} restarted")
    _until(lambda: workload.status()["serving"], "the lab serves again")
    _until(lambda: _answers(f"http://{_address(workload)}/"), "the old pods answer")


def _pid_of(component: str) -> int | None:
    for line in lab_traces.processes_of(NAME):
        pid, command = line.split(" ", 1)
        if command.split(" ")[0].rsplit("/", 1)[-1] == component:
            return int(pid)
    return None


def test_data_and_pods_survive_a_killed_supervisor(workload: SecondLab) -> None:
    _sql(workload, "create table kept as select 42 as answer")
    address = _address(workload)
    os.kill(workload.supervisor(), signal.SIGKILL)
    _until(lambda: not lab_traces.processes_of(NAME), "every process ended with the supervisor")
    assert workload.status()["serving"] is False
    workload.up()
    _until(lambda: _answers(f"http://{address}/"), "the old pods answer")
    assert _sql(workload, "select answer from kept") == "42"


@pytest.mark.parametrize("seconds", [0.2, 0.7, 1.5, 3.0])
def test_up_recovers_from_a_kill_at_any_point(second: SecondLab, seconds: float) -> None:
    second.run("down")
    killed = second.start("up", "--context", NAME)
    time.sleep(seconds)
    killed.kill()
    killed.communicate()
    second.up()
    assert second.status()["serving"] is True


def test_second_command_waits_or_refuses(second: SecondLab) -> None:
    second.run("down")
    first = second.start("up", "--context", NAME)
    assert first.stderr is not None
    shown = first.stderr.readline()  # after its first step it holds the lock
    assert "✓" in shown
    refused = second.run("up", "--context", NAME, "--no-wait", fails_with=2)
    assert f"Process {first.pid} is working on the lab" in refused
    waited = second.up()
    assert f"waiting for process {first.pid}" in waited
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_down_removes_a_broken_lab(serving: SecondLab, machine: lab_traces.Traces) -> None:
    subprocess.run(["ip", "link", "delete", "lab-10-213"], check=True)
    shutil.rmtree(f"/var/lib/{NAME}/certificates")
    Path(f"/run/{NAME}/supervisor.sock").unlink()
    serving.run("down")
    assert lab_traces.processes_of(NAME) == []
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_down_works_after_a_killed_supervisor_and_twice(serving: SecondLab, machine: lab_traces.Traces) -> None:
    os.kill(serving.supervisor(), signal.SIGKILL)
    serving.run("down")
    serving.run("down")
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_down_while_in_use_leaves_nothing(second: SecondLab, machine: lab_traces.Traces) -> None:
    second.up()
    second.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests()))
    second.kubectl("-n", "try", "wait", "--for=condition=Ready", "pod", "--all", f"--timeout={PATIENCE}s")
    second.run("down")
    assert lab_traces.processes_of(NAME) == []
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_another_lab_is_not_touched(second: SecondLab) -> None:
    """Start and remove the second lab; another one keeps its processes and keeps serving."""
    first = {name: value for name, value in second.environment.items() if not name.startswith("ADDRESSBOOK_LAB_")}
    other = SecondLab({**first, "ADDRESSBOOK_LAB_NAME": "lab-beside-it", "ADDRESSBOOK_LAB_NETWORK": "10.214.0.0/16"})
    try:
        other.run("up", "--context", "lab-beside-it")
        before = other.supervisor()
        second.up()
        second.run("down")
        assert other.supervisor() == before
        assert other.status()["serving"] is True
    finally:
        other.run("down")
