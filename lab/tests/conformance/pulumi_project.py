"""A Pulumi project in a temporary folder, run by the real CLI with a file backend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "addressbook-lab"
STAND_IN, OFFICIAL = "stand-in", "official"
# Seconds. Whatever takes longer has failed.
PATIENCE = 180


def find_tool(name: str) -> str:
    """Return a tool's path, from PATH or the lab's cache. Skip the test where there is none."""
    cached = sorted((CACHE / "tools").glob(f"*/bin/{name}"), key=lambda path: path.stat().st_mtime)
    found = shutil.which(name) or (str(cached[-1]) if cached else "")
    if not found:
        pytest.skip(f"{name} is not installed: run `python -m lab up` once")
    return found


def official_plugin(name: str, version: str) -> Path | None:
    """Return the folder of an official provider plugin, None if Pulumi has not installed it."""
    folder = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    plugin = folder / f"resource-{name}-v{version}"
    return plugin if (plugin / f"pulumi-resource-{name}").exists() else None


PROJECT_FILE = f"name: conformance\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"


class PulumiProject:
    """A project with the stack `test`, all in one folder. `close` ends its processes."""

    def __init__(self, folder: Path, plugin: str, version: str, variant: str) -> None:
        self.folder = folder / "program"
        self.folder.mkdir(parents=True)
        self._binaries, self._home, state = folder / "bin", folder / "home", folder / "state"
        for each in (self._binaries, self._home, state):
            each.mkdir()
        if variant == OFFICIAL:
            self._copy_official(plugin, version)
        else:
            self._write_stand_in(f"pulumi-resource-{plugin}", plugin)
        self.pulumi = find_tool("pulumi")
        path = [
            str(self._binaries),
            str(Path(self.pulumi).parent),
            str(Path(sys.executable).parent),
            os.environ["PATH"],
        ]
        self._write_stand_in("pulumi-language-python", "language_python")
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join(path),
            "PULUMI_HOME": str(self._home),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The other installed SDKs must not make the engine download their plugins.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "NO_COLOR": "1",
        }
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        (self.folder / "Pulumi.yaml").write_text(PROJECT_FILE)
        self._processes: list[subprocess.Popen[str]] = []
        self.program("")
        self.run("stack", "init", "test")

    def _write_stand_in(self, name: str, module: str) -> None:
        wrapper = self._binaries / name
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m lab.plugins.{module} "$@"\n')
        wrapper.chmod(0o755)

    def _copy_official(self, plugin: str, version: str) -> None:
        official = official_plugin(plugin, version)
        if official is None:
            pytest.skip(f"official plugin not installed: unverified ({plugin} {version})")
        (self._home / "plugins").mkdir()
        shutil.copytree(official, self._home / "plugins" / official.name, symlinks=True)

    def program(self, text: str) -> None:
        """Write the program."""
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start pulumi in its own process group, as a terminal does, so that a signal reaches its children too."""
        process = subprocess.Popen(
            [self.pulumi, *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run pulumi and return its output. Assert that it succeeds, or with `fails` that it does not."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode != 0) == fails, f"pulumi {' '.join(arguments)}: {process.returncode}\n{output}"
        return output

    def up(self, *arguments: str, fails: bool = False) -> str:
        """Run `pulumi up` without confirmation."""
        return self.run("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def steps(self) -> dict[str, dict[str, Any]]:
        """Return a preview's steps by resource name: `op`, `detailedDiff` and others."""
        output = self.run("preview", "--json", "--show-sames")
        planned = json.loads(output[output.index("{\n") :])
        return {step["urn"].rpartition("::")[2]: step for step in planned.get("steps", [])}

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, with secrets opened."""
        return json.loads(self.stdout("stack", "output", "--json", "--show-secrets"))

    def state(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        return json.loads(self.stdout("stack", "export"))["deployment"].get("resources", [])

    def stored_state(self) -> str:
        """Return the text of the state file."""
        backend = Path(self.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return next(backend.rglob("test.json")).read_text()

    def stdout(self, *arguments: str) -> str:
        """Run pulumi and return its stdout alone."""
        done = subprocess.run(
            [self.pulumi, *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def resource(self, name: str) -> dict[str, Any]:
        """Return one resource of the state."""
        return next(each for each in self.state() if each["urn"].endswith(f"::{name}"))

    def close(self) -> None:
        """Kill all running processes."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds. Fail after `PATIENCE` seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"timed out waiting until {what}"
        time.sleep(0.1)


def processes(matches: Callable[[bytes, bytes], bool]) -> list[int]:
    """Return the ids of the processes whose command line and environment match."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if matches((process / "cmdline").read_bytes(), (process / "environ").read_bytes() + b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def plugin_processes(project: PulumiProject, plugin: str) -> list[int]:
    """Return the ids of the project's processes of a stand-in, which have its PULUMI_HOME."""
    module, mark = f"lab.plugins.{plugin}".encode(), f"PULUMI_HOME={project.environment['PULUMI_HOME']}\0".encode()
    return processes(lambda command, environment: module in command and mark in environment)
