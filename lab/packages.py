"""Install the system programs that the lab runs from the distribution's packages, where they are missing."""

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

# Program -> Debian or Ubuntu package. A program on PATH is used as it is: a Docker or containerd of another origin is
# never replaced.
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
POLICY_MARK = "# written by the addressbook lab during an installation"
SERVICES = {  # systemd unit -> package that installs it
    "docker.socket": "docker.io",
    "docker.service": "docker.io",
    "containerd.service": "containerd",
    "etcd.service": "etcd-server",
    "docker-registry.service": "docker-registry",
    "postgresql.service": "postgresql",
    "prometheus.service": "prometheus",
}


def search_path() -> str:
    """Return PATH, extended by the system folders that may be missing from a user's PATH."""
    given = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    system = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
    return os.pathsep.join(dict.fromkeys([*given, *system]))


def cni_folder() -> Path | None:
    """Return the folder of the network plugins for pods, or None."""
    return next((folder for folder in CNI_FOLDERS if all((folder / name).exists() for name in CNI_PLUGINS)), None)


def missing() -> list[str]:
    """Return the packages to install."""
    names = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())]
    if cni_folder() is None:
        names.append("containernetworking-plugins")
    if not _static_busybox():
        names.append("busybox-static")
    return names


def _static_busybox() -> bool:
    """Return whether /bin/busybox is statically linked: then it names no program interpreter (ELF's PT_INTERP)."""
    return BUSYBOX.exists() and b"/ld-linux" not in BUSYBOX.read_bytes()[:4096]


def ensure() -> None:
    """Install the missing packages without starting any service. Raises LabError with apt-get's message."""
    remove_policy()
    if names := missing():
        _install(names)
    if still := missing():
        raise LabError(f"apt-get installed {', '.join(still)}, but a program is still missing. Reinstall the package.")


def ensure_postgres() -> None:
    """Install a PostgreSQL server for rehearsals and the service's tests, without starting it. Raises LabError."""
    if postgres.binaries() is None:
        if os.geteuid() != 0:
            raise LabError("PostgreSQL is missing and installing it needs root: apt-get install postgresql.")
        _install(["postgresql"])


def ensure_prometheus() -> None:
    """Install Prometheus and its promtool for the tests of the rules, without starting it. Raises LabError."""
    if not all(shutil.which(program, path=search_path()) for program in ("prometheus", "promtool")):
        if os.geteuid() != 0:
            raise LabError("Prometheus is missing and installing it needs root: apt-get install prometheus.")
        _install(["prometheus"])


def _install(names: list[str]) -> None:
    if not shutil.which("apt-get"):
        raise LabError(
            f"These packages are missing, and this system has no apt-get: {', '.join(names)}. "
            "Install them with the distribution's own tool, or run the lab on Debian or Ubuntu."
        )
    with step(f"install from the distribution: {', '.join(names)}"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _apt_get(["update"], environment)
        with _no_services_started():
            # Finish an interrupted installation first: apt-get refuses to work before that.
            subprocess.run(["dpkg", "--configure", "-a"], capture_output=True, env=environment)
            # --no-remove: never replace a package of the user's.
            _apt_get(["install", "--yes", "--no-install-recommends", "--no-remove", *names], environment)
            _disable_services(names)


def _apt_get(arguments: list[str], environment: dict[str, str]) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        errors = [line for line in (result.stderr + result.stdout).splitlines() if line.startswith(("E:", "Err:"))]
        message = " ".join(errors[:3]) or result.stderr.strip()[-300:]
        raise LabError(f"`apt-get {' '.join(arguments)}` failed: {message}")


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Keep package scripts from starting services, unless the machine has its own policy for that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        remove_policy()


def remove_policy() -> None:
    """Remove the lab's policy file, also after a killed run."""
    if POLICY.exists() and POLICY_MARK in POLICY.read_text(encoding="utf-8", errors="replace"):
        POLICY.unlink()


def _disable_services(installed: list[str]) -> None:
    """Keep newly installed services from starting at the next boot."""
    if not shutil.which("systemctl"):
        return
    for service, package in SERVICES.items():
        if package in installed:
            subprocess.run(["systemctl", "disable", "--quiet", service], capture_output=True)
            say(f"  {service} was installed but stays disabled: the lab runs its own")
