"""The Debian 12 root file system below the base images that are built here, made with debootstrap."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab

SUITE = "bookworm"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def ingredients(_lab: Lab) -> list[Path]:
    """Return the machine's certificate bundle: with it in the images, builds reach what the machine reaches."""
    return [CA_BUNDLE] if CA_BUNDLE.exists() else []


def prepare(lab: Lab, context: Path) -> None:
    """Put `rootfs.tar` and the machine's certificate bundle into a build context. Raises LabError."""
    root = context / "rootfs"
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    if mirror := _mirror():
        command.append(mirror)
    # In its own mount namespace, so that nothing stays mounted if this is killed.
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
    notes = Path("/run/mount")  # `mount` creates it at its first use on a machine
    had_notes = notes.exists()
    result = subprocess.run(isolated, capture_output=True, text=True)
    if not had_notes:
        shutil.rmtree(notes, ignore_errors=True)
    if result.returncode != 0:
        message = " ".join((result.stdout + result.stderr).strip().splitlines()[-3:])
        raise LabError(f"debootstrap of Debian {SUITE} failed: {message}. Check that a Debian mirror is reachable.")
    with tarfile.open(context / "rootfs.tar", "w") as archive:
        archive.add(root, arcname=".", filter=_without_caches)
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)
    for bundle in ingredients(lab):
        (context / "ca-certificates.crt").write_bytes(bundle.read_bytes())


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out package caches, documentation, translations and device files."""
    unused = (
        "./var/cache/apt/",
        "./var/lib/apt/lists/",
        "./usr/share/doc/",
        "./usr/share/man/",
        "./usr/share/locale/",
    )
    if entry.isdev() or entry.name.startswith((*unused, "./proc/", "./sys/", "./dev/", "./debootstrap")):
        return None
    return entry


def mirror_answers() -> bool:
    """Return whether the machine's package sources can be read: the best sign of a reachable Debian mirror."""
    command = ["apt-get", "-q", "update", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=0"]
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mirror() -> str | None:
    """Return the Debian mirror that this machine uses; None on other systems, where debootstrap has a default."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    except OSError:
        return None
    return next((line.split()[2] for line in lines if line.startswith("Debian Debian ")), None)
