"""A Pulumi project in a temporary folder, run by the real CLI with a file backend: what conformance tests drive."""

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

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "addressbook-lab"
STAND_IN, OFFICIAL = "stand-in", "official"
# A language host in Go: the official one, or the one the lab builds from an earlier release.
GO_HOST = "Go host"
# No test waits longer than this for anything, in seconds; what takes longer has failed.
PATIENCE = 180


def find_tool(name: str) -> str:
    """A tool from PATH or the lab's cache; skips the test where there is none."""
    cached = sorted((CACHE / "tools").glob(f"*/bin/{name}"), key=lambda path: path.stat().st_mtime)
    found = shutil.which(name) or (str(cached[-1]) if cached else "")
    if not found:
        pytest.skip(f"{name} is not installed: run `python -m lab up` once")
    return found


def find_go_host() -> Path:
    """The folder of a language host that is a native executable; skips the test where there is none."""
    folders = [Path(each) for each in os.environ["PATH"].split(os.pathsep)]
    for folder in [*folders, *sorted((CACHE / "tools").glob("*/bin"))]:
        host = folder / "pulumi-language-python"
        if host.is_file() and host.read_bytes()[:4] == b"\x7fELF":
            return folder
    pytest.skip("official plugin not installed: unverified (pulumi-language-python)")


def official_plugin(name: str, version: str) -> Path | None:
    """The folder of an official provider plugin that pulumi has installed."""
    folder = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    plugin = folder / f"resource-{name}-v{version}"
    return plugin if (plugin / f"pulumi-resource-{name}").exists() else None


class PulumiProject:
    """A project with one stack `test`. Everything of it is in one folder; `close` ends what it has started."""

    def __init__(self, folder: Path, plugin: str, version: str, variant: str, language_host: str = STAND_IN) -> None:
        self.folder = folder / "program"
        self.folder.mkdir(parents=True)
        self._binaries, self._home, state = folder / "bin", folder / "home", folder / "state"
        for each in (self._binaries, self._home, state):
            each.mkdir()
        if variant == OFFICIAL:
            self._take_official(plugin, version)
        else:
            self._write_stand_in(f"pulumi-resource-{plugin}", plugin)
        self.pulumi = find_tool("pulumi")
        # The language host finds the program's loader beside pulumi.
        path = [
            str(self._binaries),
            str(Path(self.pulumi).parent),
            str(Path(sys.executable).parent),
            os.environ["PATH"],
        ]
        if language_host == GO_HOST:
            path.insert(0, str(find_go_host()))
        else:
            self._write_stand_in("pulumi-language-python", "language_python")
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join(path),
            "PULUMI_HOME": str(self._home),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Other SDKs that happen to be installed here must not make the engine look for their plugins.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "NO_COLOR": "1",
        }
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        (self.folder / "Pulumi.yaml").write_text("name: conformance\nruntime: python\n")
        self._processes: list[subprocess.Popen[str]] = []
        self.program("")
        self.run("stack", "init", "test")

    def _write_stand_in(self, name: str, module: str) -> None:
        wrapper = self._binaries / name
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m lab.plugins.{module} "$@"\n')
        wrapper.chmod(0o755)

    def _take_official(self, plugin: str, version: str) -> None:
        official = official_plugin(plugin, version)
        if official is None:
            pytest.skip(f"official plugin not installed: unverified ({plugin} {version})")
        (self._home / "plugins").mkdir()
        shutil.copytree(official, self._home / "plugins" / official.name, symlinks=True)

    def program(self, text: str) -> None:
        """Write the program."""
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start pulumi in a process group of its own, so that a signal reaches all that a terminal's would."""
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
        """Run pulumi to its end; its output. Asserts that it succeeds, or with `fails` that it doesn't."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode != 0) == fails, f"pulumi {' '.join(arguments)}: {process.returncode}\n{output}"
        return output

    def up(self, *arguments: str, fails: bool = False) -> str:
        """`pulumi up` without a question."""
        return self.run("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def steps(self, command: str = "preview", *arguments: str) -> dict[str, dict[str, Any]]:
        """The planned steps by resource name: `op`, `diffReasons`, `replaceReasons`, `detailedDiff`."""
        process = self.start(command, "--json", "--show-sames", *arguments)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
        planned = json.loads(output[output.index("{\n") :])
        return {step["urn"].rpartition("::")[2]: step for step in planned.get("steps", [])}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets laid open."""
        return json.loads(self.answer("stack", "output", "--json", "--show-secrets"))

    def state(self, *arguments: str) -> list[dict[str, Any]]:
        """The resources in the stack's state."""
        return json.loads(self.answer("stack", "export", *arguments))["deployment"].get("resources", [])

    def answer(self, *arguments: str) -> str:
        """What pulumi says on stdout alone."""
        answer = subprocess.run(
            [self.pulumi, *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def resource(self, name: str) -> dict[str, Any]:
        """One resource of the state."""
        return next(each for each in self.state() if each["urn"].endswith(f"::{name}"))

    def close(self) -> None:
        """End what is still running."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something has happened; fails after `PATIENCE` seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.1)


def plugin_processes(project: PulumiProject, plugin: str) -> list[int]:
    """Ids of this project's processes of a stand-in, found by their PULUMI_HOME."""
    mark = f"PULUMI_HOME={project.environment['PULUMI_HOME']}\0".encode()
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if f"lab.plugins.{plugin}".encode() in command and mark in (process / "environ").read_bytes() + b"\0":
                found.append(int(process.name))
        except OSError:
            continue
    return found
