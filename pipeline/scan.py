"""Look for known vulnerabilities: in the locked Python packages with pip-audit, in an image with grype.

What cannot be looked up is an error. grype reads everything in the image, the packages of its operating system too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StepError, UsageError

#: The lock of every Python package: of the program, the service, the lab, and the tools for tests and lint.
LOCK = "requirements-dev.txt"
#: pip-audit's exit codes for a complete scan: nothing found, something found.
COMPLETE = (0, 1)
#: Least severity of an image's vulnerability that fails the scan, if a fixed version exists. Distributions list many
#: that they have not fixed, or never will.
SEVERITY = "high"
#: grype's exit code for a complete scan that found such a vulnerability.
FOUND = 2
INSTALL_GRYPE = "https://github.com/anchore/grype#installation, or `.github/tools '' grype`"


@dataclass(frozen=True)
class ScanResult:
    """Number of Python packages scanned, and the image scanned ("" if none); none has a known vulnerability."""

    packages: int
    image: str = ""


def scan(root: Path, image: str = "") -> ScanResult:
    """Scan every locked package, and the Docker Engine's ``image`` if one is named.

    Raises UsageError if a scanner is missing, and StepError for a vulnerability or if something could not be looked up.
    """
    if image and not shutil.which("grype"):
        raise UsageError(f"grype is not on PATH, but is needed to scan {image}; install it ({INSTALL_GRYPE})")
    packages = _scan_packages(root)
    if image:
        _scan_image(image)
    return ScanResult(packages, image)


def _scan_image(image: str) -> None:
    command = ["grype", f"docker:{image}", "--only-fixed", "--fail-on", SEVERITY]
    done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return
    if done.returncode == FOUND:
        raise StepError(f"{image} has known vulnerabilities that newer versions fix (see above); upgrade them")
    reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    raise StepError(f"the image was not scanned, because grype failed: {reason}")


def _scan_packages(root: Path) -> int:
    tool = Path(sys.executable).with_name("pip-audit")
    if not tool.exists():
        raise UsageError("pip-audit is not installed: `make .venv/ready` installs it")
    quiet = ("--progress-spinner", "off", "--disable-pip", "--require-hashes", "--format", "json")
    done = subprocess.run([tool, *quiet, "-r", root / LOCK], capture_output=True, text=True, check=False)
    try:
        answer: Any = json.loads(done.stdout) if done.returncode in COMPLETE else None
    except ValueError:
        answer = None
    if answer is None:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StepError(f"the packages were not scanned, because pip-audit failed: {reason}")
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
    return len(packages)


def _summary(known: dict[str, Any]) -> str:
    """Return a vulnerability's name and the versions that fix it."""
    return f"{known['id']}, fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
