"""A stack for releases under load: the promotion commands, the users, and what both report."""

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
from tests.e2e.load import LONGEST_SECONDS
from tests.e2e.ready_pods import ReadyPods
from tests.project import ROOT, Project

CANDIDATE = "candidate"  # the build context that the tests write versions into
#: Requests a second. The verdict calls a canary healthy only after 300 of its requests. Four in five use fresh
#: connections, and one canary beside two stable pods gets a third of those: in 20 s about 800, with a standard
#: deviation of 23. The kept-alive connections may all stay on stable, and a busy machine may slow everything down: with
#: half of the load, 300 is still 6 standard deviations below the mean.
#: The verdict must also tell 5 % of errors from the 1 % that are allowed. Fresh connections alone bring 1,600 of the
#: canary's requests in 40 s: it misses then less than once in 40,000 trials.
RATE = 150
HEALTHY_TRIAL = ("--for", "20s", "--every", "1s")
UNHEALTHY_TRIAL = ("--for", "40s", "--every", "1s")  # ends as soon as the verdict is sure
#: Seconds after which a canary that does not become ready has failed. A healthy one takes three to four.
ROLLOUT_SECONDS = 30
#: Config of the laptop stack, which has the addressbook's test commands and requests.
DEV: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
LOAD = Path(__file__).with_name("load.py")
RELEASE_KEYS = (
    *("stableImage", "stableReplicas", "canaryImage", "canaryReplicas", "traffic"),
    *("environment", "secretEnvironment", "canarySettings", "canarySecretEnvironment"),
)


def trial_config(worker: str) -> dict[str, Any]:
    """Return the config of the trial stack of one test process."""
    return {
        "cloud": "local",
        "kubeContext": "addressbook-lab",
        "registry": "10.203.0.1:5000",
        "namespace": f"addressbook-trial-{worker}",
        "stableReplicas": 3,
        "rolloutTimeoutSeconds": 60,
        "cpuRequest": "10m",
        "warmUpSeconds": 1,
        # The tracks share two cores with the whole lab. It holds up either of them for some ten milliseconds by chance,
        # which is many times what the service takes.
        "canaryLatencyFloorMilliseconds": 250,
        "canaryLatencyPercentile": 75,
        **{key: DEV[f"addressbook:{key}"] for key in ("testCommands", "testRequests")},
    }


@dataclass
class Users:
    """The load while it runs; ``report`` is filled when it has ended."""

    process: subprocess.Popen[str]
    report: dict[str, Any]


@dataclass
class Trial:
    """``project`` is a copy of the program with a stack; ``image`` is the repository's own addressbook."""

    project: Project
    image: str
    namespace: str

    def promotion(self, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a promotion command as a script would; ``check`` is the expected exit code."""
        done = self.project.run(sys.executable, "-m", "promotion", *self.command(*arguments), check=False)
        if check is not None:
            assert done.returncode == check, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def command(self, *arguments: str) -> Sequence[str]:
        return [*arguments, "--stack", self.project.stack]

    def candidate(self, behaviour: str, edition: object = "") -> None:
        """Write a version into the build context."""
        variants.write(self.project.folder / CANDIDATE, self.image, behaviour, edition)

    def config(self) -> dict[str, str]:
        """Return the release's keys in the stack file, as text."""
        document = yaml.safe_load(self.project.stack_file.read_text())["config"]
        keys = {key: document.get(f"addressbook:{key}") for key in RELEASE_KEYS}
        return {key: str(value) for key, value in keys.items() if value not in (None, "")}

    def tracks(self) -> dict[str, Any]:
        return self.project.outputs()["tracks"]

    def ready_pods(self, service: str = "addressbook-lb") -> ReadyPods:
        file = self.project.environment["KUBECONFIG"]
        kubeconfig: Any = kubeconfigs
        return ReadyPods(kubeconfig.new_client_from_config(file, "addressbook-lab"), self.namespace, service)

    @contextmanager
    def users(self, longest_seconds: float = LONGEST_SECONDS, rate: float = RATE, *options: str) -> Iterator[Users]:
        """Load the public address while the block runs, but no longer than ``longest_seconds``."""
        url = self.project.outputs()["url"]
        command = [sys.executable, str(LOAD), url, "--rate", str(rate), "--seconds", str(longest_seconds), *options]
        users = Users(subprocess.Popen(command, stdout=subprocess.PIPE, text=True), {})
        try:
            yield users
        finally:
            users.process.send_signal(signal.SIGINT)
            output, _ = users.process.communicate(timeout=120)
        users.report.update(json.loads(output))
        assert users.report["requests"] > 0
