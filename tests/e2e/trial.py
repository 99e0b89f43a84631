"""A stack of its own for releases under load: the promotion commands, the users, and what both of them saw."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import config as kubeconfigs

from tests.e2e import variants
from tests.e2e.load import MOST_SECONDS
from tests.e2e.ready_pods import ReadyPods

NAMESPACE = "addressbook-trial"
CANDIDATE = "candidate"  # the build context that the tests write versions into
RATE = 60
LOAD = Path(__file__).with_name("load.py")
KEYS = ("stableImage", "stableReplicas", "canaryImage", "canaryReplicas", "traffic")
CONFIG = {
    "cloud": "local",
    "kubeContext": "addressbook-lab",
    "registry": "10.203.0.1:5000",
    "namespace": NAMESPACE,
    "stableReplicas": 3,
    "rolloutTimeoutSeconds": 30,
    "cpuRequest": "10m",
}


@dataclass
class Users:
    """The load while it runs; ``report`` is there when it has ended."""

    process: subprocess.Popen[str]
    report: dict[str, Any]


@dataclass
class Trial:
    """``project`` is a copy of the program with a stack; ``image`` is the addressbook as it is in the repository."""

    project: Any
    image: str

    def promotion(self, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a promotion command as a script would."""
        done = self.project.run(sys.executable, "-m", "promotion", *self.command(*arguments), check=False)
        if check is not None:
            assert done.returncode == check, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def command(self, *arguments: str) -> Sequence[str]:
        return [*arguments, "--stack", self.project.stack]

    def candidate(self, behaviour: str, edition: object = "") -> None:
        """Write a version into the build context."""
        variants.make(self.project.folder / CANDIDATE, self.image, behaviour, edition)

    def config(self) -> dict[str, str]:
        """The release's keys in the stack file, as text."""
        document = yaml.safe_load(self.project.stack_file.read_text())["config"]
        keys = {key: document.get(f"addressbook:{key}") for key in KEYS}
        return {key: str(value) for key, value in keys.items() if value not in (None, "")}

    def tracks(self) -> dict[str, Any]:
        return self.project.outputs()["tracks"]

    def ready_pods(self, service: str = "addressbook-lb") -> ReadyPods:
        file = self.project.environment["KUBECONFIG"]
        kubeconfig: Any = kubeconfigs
        return ReadyPods(kubeconfig.new_client_from_config(file, "addressbook-lab"), NAMESPACE, service)

    @contextmanager
    def users(self, rate: int = RATE, most_seconds: float = MOST_SECONDS) -> Iterator[Users]:
        """Load the public address for as long as the block runs, but no longer than ``most_seconds``."""
        url = self.project.outputs()["url"]
        command = [sys.executable, str(LOAD), url, "--rate", str(rate), "--seconds", str(most_seconds)]
        users = Users(subprocess.Popen(command, stdout=subprocess.PIPE, text=True), {})
        try:
            yield users
        finally:
            users.process.send_signal(signal.SIGINT)
            said, _ = users.process.communicate(timeout=120)
        users.report.update(json.loads(said))
        assert users.report["requests"] > 0
