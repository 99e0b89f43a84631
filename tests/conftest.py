"""The lab and throw-away stacks, shared by the engine and end-to-end tests."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.layout import Lab

ROOT = Path(__file__).resolve().parent.parent
#: What a stack needs of the checkout; the copy leaves the real stack files alone.
PROGRAM = ("Pulumi.yaml", "__main__.py", "contract", "components", "stacks", "promotion", "policy", "app")
PASSPHRASE = "throw-away"  # of stacks that live as long as a test


#: Reasons for which any machine may skip a test: what only official parts of Pulumi can show.
EXPECTED_SKIPS = re.compile(
    r"official plugin .*not installed: unverified|no pulumi-language-python written in Go is installed: unverified"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unexpected-skips",
        action="store_true",
        help="fail when a test is skipped for a reason that is not expected",
    )


class SkipGuard:
    """Fails a run in which a test was skipped for a reason that is not expected."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reason = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
        if report.skipped and not EXPECTED_SKIPS.search(reason):
            self.unexpected.append(f"{report.nodeid}: {reason or report.longrepr}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.unexpected:
            terminalreporter.write_line(f"UNEXPECTED SKIP {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-unexpected-skips"):
        config.pluginmanager.register(SkipGuard())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast and fundamental first; what takes a lab up and down last."""

    def rank(item: pytest.Item) -> int:
        order = ("tests/unit", "app/tests", "tests/engine", "tests/conformance", "tests/e2e")
        place = next((n for n, folder in enumerate(order) if item.nodeid.startswith(folder)), len(order))
        return len(order) + 1 if item.get_closest_marker("lab_lifecycle") else place

    items.sort(key=rank)


def lab_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lab", *arguments]


def lab_environment() -> dict[str, str]:
    """This process's environment with what `lab env` exports."""
    printed = subprocess.run(lab_command("env"), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    script = f"{printed}\nenv -0"
    shown = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(pair.split("=", 1) for pair in shown.split("\0") if "=" in pair)


@pytest.fixture(scope="session")
def toolchain(pytestconfig: pytest.Config) -> dict[str, str]:
    """Environment with the Pulumi engine and the plugins; got or built when missing."""
    _shown(pytestconfig, lab_command("up", "--tools-only"))
    return lab_environment()


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[dict[str, str]]:
    """Environment of a running lab; one that these tests started is taken down after them."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("the lab needs root on Linux")
    # Not whether it runs: one that somebody is starting or restarting right now is theirs too.
    was_there = Lab.from_environment().state.exists()
    _shown(pytestconfig, lab_command("up"))
    try:
        yield lab_environment()
    finally:
        if not was_there:
            _shown(pytestconfig, lab_command("down"))


def _shown(config: pytest.Config, command: list[str]) -> None:
    """Run a long command with its progress on the terminal, through pytest's capture."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        pytest.fail(
            f"`{shlex.join(command)}` ended with exit code {done.returncode}; its message is above", pytrace=False
        )


@dataclass
class Project:
    """A copy of the program with a stack, a state backend and a passphrase of its own."""

    folder: Path
    stack: str
    environment: dict[str, str]

    @property
    def stack_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def run(self, *command: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if check:
            assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
        return done

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", *arguments, "--stack", self.stack, "--non-interactive", check=check)

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, check=check)

    def configure(self, **config: str) -> None:
        """Set config keys as a user would; None removes a key."""
        for key, value in config.items():
            if value == "":
                self.pulumi("config", "rm", key)
            else:
                self.pulumi("config", "set", key, value)

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def state(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "export").stdout)["deployment"]

    def preview_steps(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Steps of a preview that change something, by resource name."""
        shown = json.loads(self.pulumi("preview", "--json", *arguments).stdout)
        return {
            step["urn"].rpartition("::")[2]: step
            for step in shown.get("steps", [])
            if step["op"] not in ("same", "read")
        }

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("kubectl", "--context", "addressbook-lab", *arguments, check=check)

    def objects(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        chosen = ["-l", selector] if selector else []
        return json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json", *chosen).stdout)["items"]


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Make a copy of the program with a stack of its own."""

    def make(stack: str, environment: Mapping[str, str], **config: Any) -> Project:
        folder = tmp_path_factory.mktemp(stack)
        for name in PROGRAM:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
                shutil.copytree(source, folder / "program" / name, ignore=ignored)
            else:
                (folder / "program").mkdir(exist_ok=True)
                shutil.copy(source, folder / "program" / name)
        (folder / "program" / ".venv").symlink_to(ROOT / ".venv")
        (folder / "state").mkdir()
        project = Project(
            folder / "program",
            stack,
            {
                **environment,
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
                "PULUMI_CONFIG_PASSPHRASE_FILE": "",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
        )
        project.stack_file.write_text(yaml.safe_dump({"config": {f"addressbook:{k}": v for k, v in config.items()}}))
        project.run("pulumi", "stack", "init", stack, "--non-interactive")
        return project

    return make
