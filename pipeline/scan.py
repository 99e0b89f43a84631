"""Known vulnerabilities of what is installed from PyPI, by pip-audit; a package that can't be looked up is a fault."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.faults import StepFailed, WrongUse

#: What the service and the program run on; exact pins, dependencies of the service's own included.
REQUIREMENTS = ("app/requirements.txt", "requirements.txt")
#: pip-audit's exit codes where it came to an answer: nothing found, something found.
ANSWERED = (0, 1)


@dataclass(frozen=True)
class Scanned:
    """How many packages were looked up; nothing is known against any of them."""

    packages: int


def scan(root: Path, requirements: Sequence[str] = REQUIREMENTS) -> Scanned:
    """Look every pinned package up. Raises StepFailed with what is found, or where it could not be looked up."""
    tool = Path(sys.executable).with_name("pip-audit")
    if not tool.exists():
        raise WrongUse("pip-audit is not installed: `make .venv/ready` installs it")
    files = [part for name in requirements for part in ("-r", str(root / name))]
    quiet = ("--progress-spinner", "off", "--disable-pip", "--no-deps", "--format", "json")
    done = subprocess.run([tool, *quiet, *files], capture_output=True, text=True, check=False)
    try:
        answer: Any = json.loads(done.stdout) if done.returncode in ANSWERED else None
    except ValueError:
        answer = None
    if answer is None:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StepFailed(f"PyPI could not be asked for known vulnerabilities, so nothing was scanned: {said}")
    packages: list[dict[str, Any]] = answer["dependencies"]
    found = [
        f"{each['name']} {each['version']}: {_told(known)}" for each in packages for known in each.get("vulns", [])
    ]
    unknown = [each for each in packages if "skip_reason" in each]
    if found:
        raise StepFailed("\n  ".join([f"known vulnerabilities: {len(found)}; raise these pins", *found]))
    if unknown:
        raise StepFailed(
            f"{len(unknown)} of {len(packages)} packages could not be looked up, {unknown[0]['name']} the first, so the"
            " scan says nothing of them: run it where PyPI itself is reached, and not a mirror of it"
        )
    return Scanned(len(packages))


def _told(known: dict[str, Any]) -> str:
    """A vulnerability's name, and the versions that are free of it."""
    return f"{known['id']}, mended in {', '.join(known['fix_versions']) or 'no version yet'}"
