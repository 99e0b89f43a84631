"""Look for known vulnerabilities in Python packages with pip-audit; a package it cannot look up is an error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StepError, UsageError

#: Requirements of the service (all dependencies) and of the program, pinned exactly.
REQUIREMENTS = ("app/requirements.txt", "requirements.txt")
#: pip-audit's exit codes for a complete scan: nothing found, something found.
COMPLETE = (0, 1)


@dataclass(frozen=True)
class ScanResult:
    """Number of packages scanned; none has a known vulnerability."""

    packages: int


def scan(root: Path, requirements: Sequence[str] = REQUIREMENTS) -> ScanResult:
    """Scan every pinned package. Raises StepError for a vulnerability, or if a package could not be looked up."""
    tool = Path(sys.executable).with_name("pip-audit")
    if not tool.exists():
        raise UsageError("pip-audit is not installed: `make .venv/ready` installs it")
    files = [part for name in requirements for part in ("-r", str(root / name))]
    quiet = ("--progress-spinner", "off", "--disable-pip", "--no-deps", "--format", "json")
    done = subprocess.run([tool, *quiet, *files], capture_output=True, text=True, check=False)
    try:
        answer: Any = json.loads(done.stdout) if done.returncode in COMPLETE else None
    except ValueError:
        answer = None
    if answer is None:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StepError(f"nothing was scanned, because PyPI did not answer: {reason}")
    packages: list[dict[str, Any]] = answer["dependencies"]
    vulnerable = [
        f"{each['name']} {each['version']}: {_summary(known)}" for each in packages for known in each.get("vulns", [])
    ]
    unknown = [each for each in packages if "skip_reason" in each]
    if vulnerable:
        raise StepError("\n  ".join([f"known vulnerabilities: {len(vulnerable)}; upgrade these packages", *vulnerable]))
    if unknown:
        raise StepError(
            f"{len(unknown)} of {len(packages)} packages could not be looked up ({unknown[0]['name']} is the"
            " first): run the scan where PyPI itself is reachable, not a mirror"
        )
    return ScanResult(len(packages))


def _summary(known: dict[str, Any]) -> str:
    """Return a vulnerability's name and the versions that fix it."""
    return f"{known['id']}, fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
