"""The root file system of Debian 12 that the stand-in base images are built on, made with debootstrap."""

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
    """The machine's certificate bundle is part of the images, so that builds reach what the machine reaches."""
    return [CA_BUNDLE] if CA_BUNDLE.exists() else []


def prepare(lab: Lab, context: Path) -> None:
    """Put `rootfs.tar` and the machine's certificate bundle into a build context. Raises LabError."""
    root = context / "rootfs"
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    if mirror := _mirror():
        command.append(mirror)
    # A mount namespace of its own, so that nothing stays mounted if this is killed.
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
    notes = Path("/run/mount")  # where `mount` keeps notes, made at its first use on a machine
    had_notes = notes.exists()
    result = subprocess.run(isolated, capture_output=True, text=True)
    if not had_notes:
        shutil.rmtree(notes, ignore_errors=True)
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip().splitlines()[-3:]
        raise LabError(f"debootstrap of Debian {SUITE} failed: {' '.join(said)}. Is a Debian mirror reachable?")
    with tarfile.open(context / "rootfs.tar", "w") as archive:
        archive.add(root, arcname=".", filter=_without_caches)
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True)
    for bundle in ingredients(lab):
        (context / "ca-certificates.crt").write_bytes(bundle.read_bytes())


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what a slim image has no use for: package caches, documentation, translations, device files."""
    left_out = (
        "./var/cache/apt/",
        "./var/lib/apt/lists/",
        "./usr/share/doc/",
        "./usr/share/man/",
        "./usr/share/locale/",
    )
    if entry.isdev() or entry.name.startswith((*left_out, "./proc/", "./sys/", "./dev/", "./debootstrap")):
        return None
    return entry


def mirror_answers() -> bool:
    """Whether the machine's package sources can be read, which says most about a Debian mirror."""
    command = ["apt-get", "-q", "update", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=0"]
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mirror() -> str | None:
    """The Debian mirror that this machine uses, if it is a Debian; debootstrap knows a default one."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    except OSError:
        return None
    return next((line.split()[2] for line in lines if line.startswith("Debian Debian ")), None)
