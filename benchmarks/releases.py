"""Two ways to promote a release: this project's, and the book's with kubectl."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from benchmarks.startup import PROGRAM, ROOT

STABLE, CANARY = "addressbook-stable", "addressbook-canary"
CONFIG = {"cloud": "local", "cpuRequest": "10m"}  # 30 pods and the old ones fit on two processors
#: A progress line: the resource, the operation and its seconds.
PROGRESS = re.compile(r"^\s+\S (?P<what>\S+ \S+)\s+(?P<how>created|updated|deleted)(\s+(?P<seconds>[\d.]+) s)?\s*$")
#: Fields that the API server adds to an object.
SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


class Contender(Protocol):
    """A way to promote, with its own release."""

    @property
    def kubectl(self) -> Sequence[str]:
        """Return the kubectl command with the release's context and namespace."""
        ...

    def put_on_trial(self, replicas: int, stable: str, canary: str) -> None:
        """Bring up ``stable`` with one pod fewer than ``replicas``, and a canary of one pod."""
        ...

    def promote(self, replicas: int, image: str) -> dict[str, float]:
        """Move stable to ``image`` and remove the canary; return the seconds by part."""
        ...


@dataclass(frozen=True)
class Program:
    """A copy of the program with its state."""

    folder: Path
    environment: Mapping[str, str]
    context: str

    def run(self, *command: str) -> str:
        return "\n".join(line for _, line in self.lines(*command))

    def lines(self, *command: str) -> list[tuple[float, str]]:
        """Run a command and return its lines with their times. If interrupted, pass that on and wait for its end."""
        with tempfile.TemporaryFile("w+") as errors:
            running = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                process_group=0,
            )
            try:
                lines = [(time.perf_counter(), line.rstrip("\n")) for line in running.stdout or ()]
                running.wait()
            except KeyboardInterrupt:
                running.send_signal(signal.SIGINT)
                running.wait()
                raise
            if running.returncode:
                errors.seek(0)
                output = "\n".join(line for _, line in lines) + errors.read()
                raise ValueError(f"`{' '.join(command)}` ended with exit code {running.returncode}: {output[-3000:]}")
        return lines

    def kubectl(self, namespace: str) -> list[str]:
        return ["kubectl", "--context", self.context, "--namespace", namespace]

    def move(self, command: str, stack: str, *arguments: str) -> list[tuple[float, str]]:
        """Run a `promotion` command unbuffered, so that each line arrives when it is printed."""
        return self.lines(sys.executable, "-u", "-m", "promotion", command, "--stack", stack, *arguments)


class Promotion:
    """Promote with this project."""

    def __init__(self, program: Program, stack: str) -> None:
        self._program, self._stack = program, stack
        self.kubectl = program.kubectl(stack)
        self._stable: tuple[int, str] | None = None

    def put_on_trial(self, replicas: int, stable: str, canary: str) -> None:
        if self._stable != (replicas, stable):
            config = {"stableImage": stable, "stableReplicas": str(replicas)}
            self._program.move("up", self._stack, *(f"--set={key}={value}" for key, value in config.items()))
        beside = ("--stable-replicas", str(replicas - 1))
        self._program.move("canary", self._stack, "--image", canary, "--replicas", "1", *beside, "--yes")

    def promote(self, replicas: int, image: str) -> dict[str, float]:
        began = time.perf_counter()
        lines = self._program.move("promote", self._stack, "--force", "--yes")
        ended = time.perf_counter()
        self._stable = (replicas, image)
        return parts_of(lines, began, ended)


class BareKubectl:
    """Promote with kubectl, like the book, on the objects that the program created."""

    def __init__(self, program: Program, namespace: str) -> None:
        self._program = program
        self.kubectl = program.kubectl(namespace)
        self._folder = program.folder
        found = json.loads(program.run(*self.kubectl, "get", "deployment", STABLE, CANARY, "-o", "json"))
        self._manifests = {each["metadata"]["name"]: applicable(each) for each in found["items"]}

    def put_on_trial(self, replicas: int, stable: str, canary: str) -> None:
        self._apply(STABLE, replicas - 1, stable)
        self._apply(CANARY, 1, canary)
        self._rolled_out(STABLE)
        self._rolled_out(CANARY)

    def promote(self, replicas: int, image: str) -> dict[str, float]:
        began = time.perf_counter()
        self._apply(STABLE, replicas, image)
        self._rolled_out(STABLE)
        up = time.perf_counter()
        self._program.run(*self.kubectl, "delete", "deployment", CANARY)
        return {"rollout": up - began, "removal": time.perf_counter() - up}

    def _apply(self, name: str, replicas: int, image: str) -> None:
        manifest = self._manifests[name]
        manifest["spec"]["replicas"] = replicas
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(manifest))
        self._program.run(*self.kubectl, "apply", "-f", str(file))

    def _rolled_out(self, name: str) -> None:
        self._program.run(*self.kubectl, "rollout", "status", f"deployment/{name}")


@contextmanager
def program(context: str, registry: str, stacks: Collection[str]) -> Iterator[Program]:
    """Yield a copy of the program with ``stacks``, each with a namespace of the same name.

    Remove the namespaces at the end.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-promotion-") as place:
        folder = Path(place) / "program"
        ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
        folder.mkdir()
        for name in (*PROGRAM, "promotion", "policy"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (Path(place) / "state").mkdir()
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{place}/state",
            "PULUMI_CONFIG_PASSPHRASE": "of-a-state-that-lives-as-long-as-the-benchmark",
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        for stack in stacks:
            config = {**CONFIG, "kubeContext": context, "registry": registry, "namespace": stack}
            keys = {f"addressbook:{key}": value for key, value in config.items()}
            (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": keys}))
        made = Program(folder, environment, context)
        try:
            yield made
        finally:
            made.run("kubectl", "--context", context, "delete", "ns", *stacks, "--ignore-not-found", "--timeout=5m")


def parts_of(lines: Sequence[tuple[float, str]], began: float, ended: float) -> dict[str, float]:
    """Return how a command spent its time, from its timestamped lines."""
    done = {}
    for at, line in lines:
        if found := PROGRESS.match(line):
            done[f"{found['what']} {found['how']}"] = (at - float(found["seconds"] or 0), at)
    try:
        rollout = done[f"Deployment {STABLE} updated"]
    except KeyError as missing:
        raise ValueError(f"the promotion did not roll out stable: no progress line for {missing}") from None
    return {
        "start": rollout[0] - began,
        "rollout": rollout[1] - rollout[0],
        "removal": ended - rollout[1],
    }


def applicable(live: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as a user would apply it, without the API server's additions."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in SERVERS_OWN}
    metadata["annotations"] = {
        key: value for key, value in metadata.get("annotations", {}).items() if "kubernetes.io/" not in key
    }
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}
