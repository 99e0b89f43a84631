"""Options and fixtures that all tests share: the lab, temporary stacks, and the order in which tests run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT, Project, copy_program

# Without compiled files, which some shells and images turn off, each of the many Pythons that the tests start would
# compile the program again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: Skips that are fine on any machine: what only Pulumi's official plugins can show.
EXPECTED_SKIPS = re.compile(r"official plugin .*not installed: unverified")
#: Cheap and fundamental tests first. Among the end-to-end files the longest scopes come first, so that both processes
#: end together.
ORDER = (
    "tests/unit",
    "lab/tests/unit",
    "app/tests",
    "benchmarks/tests",
    "tests/engine",
    "tests/e2e/test_bad_canaries.py",
    "tests/e2e/test_promotion.py",
    "tests/e2e/test_settings.py",
    "tests/e2e/test_pull_request.py",
    "tests/e2e/test_main_job.py",
    "tests/e2e/test_platform_stack.py",
    "lab/tests",
    "tests/e2e",
    "tests/e2e/test_diagnose.py",
    "tests/e2e/test_zz_destroy.py",
    "tests/soak",
    "lab/tests/soak",
    "lab/tests/conformance",
)
#: End-to-end files that share a stack, which is expensive to create: one process runs all files of a stack. The trials
#: stay together for another reason, too: users' load of two trials at once would disturb both measurements.
SHARED_STACKS = {
    **dict.fromkeys(("test_bad_canaries.py", "test_network_gone.py", "test_promotion.py", "test_settings.py"), "trial"),
    **dict.fromkeys(
        (
            "test_diagnose.py",
            "test_gateway.py",
            "test_image_copy.py",
            "test_main_job.py",
            "test_network_policies.py",
            "test_status.py",
            "test_zz_destroy.py",
        ),
        "e2e",
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unexpected-skips", action="store_true", help="fail if a test is skipped for an unexpected reason"
    )
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files of the tests that run")


class SkipGuard:
    """Fail the run if a test was skipped for an unexpected reason."""

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


#: Key under which a worker tells the main process that it has started the lab.
STARTED_LAB = "started the lab"


class LabOfWorkers:
    """Take the lab down after all workers of pytest-xdist, if one of them started it."""

    started = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.started |= bool(getattr(node, "workeroutput", {}).get(STARTED_LAB))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.started:
            _run_visibly(session.config, lab_command("down"))


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(LabOfWorkers())
    if config.getoption("--no-unexpected-skips"):
        config.pluginmanager.register(SkipGuard())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by ORDER."""

    def rank(item: pytest.Item) -> int:
        matching = [number for number, prefix in enumerate(ORDER) if item.nodeid.startswith(prefix)]
        return max(matching, key=lambda number: len(ORDER[number]), default=len(ORDER))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each process whole files, and the files that share a stack to one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByStack(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return SHARED_STACKS.get(Path(file).name, file)

    return ByStack(config, log)


def lab_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lab", *arguments]


def lab_environment() -> dict[str, str]:
    """Return this process's environment with what `lab env` exports."""
    exports = subprocess.run(lab_command("env"), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    script = f"{exports}\nenv -0"
    output = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(pair.split("=", 1) for pair in output.split("\0") if "=" in pair)


@pytest.fixture(scope="session")
def toolchain(pytestconfig: pytest.Config) -> dict[str, str]:
    """Environment with the Pulumi engine and its plugins; they are installed or built first if missing."""
    _run_visibly(pytestconfig, lab_command("up", "--tools-only"))
    return lab_environment()


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[dict[str, str]]:
    """Environment of a running lab. If these tests started the lab, they take it down."""
    from lab.layout import Lab  # unit tests never get here: they need no lab

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("the lab needs root on Linux")
    # The folder exists as soon as another process starts a lab, even if that lab does not serve yet.
    existed = Lab.from_environment().state.exists()
    _run_visibly(pytestconfig, lab_command("up"))
    try:
        yield lab_environment()
    finally:
        output: dict[str, Any] | None = getattr(pytestconfig, "workeroutput", None)
        if not existed and output is not None:
            output[STARTED_LAB] = True  # the other worker may still use it
        elif not existed:
            _run_visibly(pytestconfig, lab_command("down"))


@pytest.fixture(scope="session")
def gateway_lab(pytestconfig: pytest.Config, lab: dict[str, str]) -> dict[str, str]:
    """Environment of a running lab that has Traefik's image and knows Gateways."""
    _run_visibly(pytestconfig, lab_command("up", "--gateway"))
    return lab


def _run_visibly(config: pytest.Config, command: list[str]) -> None:
    """Run a long command and show its progress on the terminal, in spite of pytest's capture."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        pytest.fail(f"`{shlex.join(command)}` failed with exit code {done.returncode}; see above.", pytrace=False)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Return a function that copies the program and creates a stack in its own state backend."""
    return lambda stack, environment, **config: copy_program(tmp_path_factory.mktemp(stack), stack, environment, config)


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """Name of this pytest-xdist process, or ``main``: part of the names that two processes must not share."""
    return getattr(request.config, "workerinput", {}).get("workerid", "main")
