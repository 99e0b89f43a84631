"""The system programs that the lab runs, installed from the distribution's packages where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.plugins import postgres
from lab.progress import say, step

# Program -> Debian or Ubuntu package that has it. What is on PATH already is used as it is, so that a Docker or
# containerd of another origin is never replaced.
PROGRAMS = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "etcd": "etcd-server",
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
    "skopeo": "skopeo",
    "iptables": "iptables",
    "ip": "iproute2",
    "sysctl": "procps",
}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("ptp", "portmap", "host-local", "loopback")
BUSYBOX = Path("/bin/busybox")

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# written by the addressbook lab for the time of one installation"
SERVICES = {  # systemd unit -> package that brings it
    "docker.socket": "docker.io",
    "docker.service": "docker.io",
    "containerd.service": "containerd",
    "etcd.service": "etcd-server",
    "docker-registry.service": "docker-registry",
    "postgresql.service": "postgresql",
}


def search_path() -> str:
    """PATH with the system folders, which a user's PATH may lack, at its end."""
    given = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    system = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
    return os.pathsep.join(dict.fromkeys([*given, *system]))


def cni_folder() -> Path | None:
    """Where the network plugins for pods are."""
    return next((folder for folder in CNI_FOLDERS if all((folder / name).exists() for name in CNI_PLUGINS)), None)


def missing() -> list[str]:
    """Packages to install so that every program is there."""
    names = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())]
    if cni_folder() is None:
        names.append("containernetworking-plugins")
    if not _static_busybox():
        names.append("busybox-static")
    return names


def _static_busybox() -> bool:
    """Whether /bin/busybox is the statically linked one (it has no program interpreter, which ELF calls PT_INTERP)."""
    return BUSYBOX.exists() and b"/ld-linux" not in BUSYBOX.read_bytes()[:4096]


def ensure() -> None:
    """Install what is missing, without starting any service. Raises LabError with apt-get's own words."""
    forget_policy()
    if names := missing():
        _install(names)
    if still := missing():
        raise LabError(f"apt-get installed {', '.join(still)}, and yet a program of it is missing: reinstall them.")


def ensure_postgres() -> None:
    """Install a PostgreSQL server where there is none, for rehearsals and the service's own tests; none is started.

    Raises LabError.
    """
    if postgres.binaries() is None:
        if os.geteuid() != 0:
            raise LabError("Installing PostgreSQL needs root: apt-get install postgresql.")
        _install(["postgresql"])


def _install(names: list[str]) -> None:
    if not shutil.which("apt-get"):
        raise LabError(
            f"These packages are missing and there is no apt-get to install them with: {', '.join(names)}. "
            "Install them with this distribution's own tool, or run the lab on Debian or Ubuntu."
        )
    with step(f"install from the distribution: {', '.join(names)}"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _apt_get(["update"], environment)
        with _no_services_started():
            # An installation that was killed half-way is finished first: apt-get refuses to go on otherwise.
            subprocess.run(["dpkg", "--configure", "-a"], capture_output=True, env=environment)
            # --no-remove: never in place of something the machine has.
            _apt_get(["install", "--yes", "--no-install-recommends", "--no-remove", *names], environment)
            _disable_services(names)


def _apt_get(arguments: list[str], environment: dict[str, str]) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        said = [line for line in (result.stderr + result.stdout).splitlines() if line.startswith(("E:", "Err:"))]
        raise LabError(f"`apt-get {' '.join(arguments)}` failed: {' '.join(said[:3]) or result.stderr.strip()[-300:]}")


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Forbid package scripts to start services, unless the machine has a policy of its own on that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        forget_policy()


def forget_policy() -> None:
    """Remove the lab's own policy file, also one that a killed run has left."""
    if POLICY.exists() and POLICY_MARK in POLICY.read_text(encoding="utf-8", errors="replace"):
        POLICY.unlink()


def _disable_services(installed: list[str]) -> None:
    """Newly installed services shall not come up at the next boot either."""
    if not shutil.which("systemctl"):
        return
    for service, package in SERVICES.items():
        if package in installed:
            subprocess.run(["systemctl", "disable", "--quiet", service], capture_output=True)
            say(f"  {service} was installed and is left disabled: the lab runs its own")
