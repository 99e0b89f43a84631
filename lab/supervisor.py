"""Keep the lab's processes running: supervisord is the first process of a process namespace with its own mounts.

Killing that one process ends everything that the lab has started, containers included, and all its mounts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from lab import cgroups, network, pid_one
from lab.component import Component
from lab.errors import LabError
from lab.files import write
from lab.layout import PACKAGE, Lab
from lab.node import KERNEL_SETTINGS

START_SECONDS = 20.0  # longest wait for the supervisor itself
LOG_BYTES = 10_000_000  # size of a component's log before it is rotated; one older file is kept


def socket_path(lab: Lab) -> Path:
    return lab.run / "supervisor.sock"


def config_path(lab: Lab) -> Path:
    return lab.run / "supervisord.conf"


def rpc(lab: Lab) -> Any:
    """Return supervisord's XML-RPC interface (http://supervisord.org/api.html)."""
    transport = SupervisorTransport(None, None, serverurl=f"unix://{socket_path(lab)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def states(lab: Lab) -> dict[str, str]:
    """Return each component's state in supervisord's terms (RUNNING, …); nothing if it does not answer."""
    try:
        return {process["name"]: process["statename"] for process in rpc(lab).getAllProcessInfo()}
    except (OSError, xmlrpc.client.Error):
        return {}


def pid(lab: Lab) -> int | None:
    """Return the supervisor's process ID on the machine: the first process of a namespace just below this one."""
    depth = len(_namespace_ids("self"))
    for candidate in cgroups.processes(lab):
        ids = _namespace_ids(str(candidate))
        if len(ids) == depth + 1 and ids[-1] == "1":
            return candidate
    return None


def _namespace_ids(process: str) -> list[str]:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return []
    return next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])


def program_list(lab: Lab, components: list[Component]) -> str:
    """Return supervisord's configuration."""
    lines = [
        "[supervisord]",
        f"logfile={lab.logs / 'supervisord.log'}",
        f"logfile_maxbytes={LOG_BYTES}",
        "logfile_backups=1",
        f"pidfile={lab.run / 'supervisord.pid'}",
        f"childlogdir={lab.logs}",
        "directory=/",
        "",
        "[unix_http_server]",
        f"file={socket_path(lab)}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for component in components:
        lines += ["", *_program(lab, component)]
    return "\n".join(lines) + "\n"


def _program(lab: Lab, component: Component) -> list[str]:
    command = [*network.inside(lab), *component.command] if component.in_node else component.command
    environment = ",".join(f'{name}="{value}"' for name, value in component.environment.items())
    return [
        f"[program:{component.name}]",
        f"command={' '.join(command)}".replace("%", "%%"),
        f"environment={environment}".replace("%", "%%"),
        "autostart=false",  # `up` starts them in their order
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        "stopwaitsecs=10",
        "redirect_stderr=true",
        f"stdout_logfile={lab.logs / component.name}.log",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        "stdout_logfile_backups=1",
    ]


def fingerprint(lab: Lab, content: str) -> str:
    """Return a hash of everything that a component reads when it starts."""
    digest = hashlib.sha256(content.encode() + Path(pid_one.__file__).read_bytes())
    for file in sorted(lab.state.glob("*.*")) + sorted(lab.state.glob("kubeconfigs/*")):
        if file.is_file() and not file.name.startswith("."):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def start(lab: Lab, components: list[Component]) -> None:
    """Start the supervisor without its components. Raises LabError if it does not start."""
    write(config_path(lab), program_list(lab, components), mode=0o600)
    lab.logs.mkdir(parents=True, exist_ok=True)
    settings = {
        "run": str(lab.run),
        "config": str(config_path(lab)),
        "network_namespace": str(lab.namespace_file),
        "data": [str(lab.state), str(lab.cache)],
        "kernel_settings": KERNEL_SETTINGS,
    }
    write(lab.run / "pid_one.json", json.dumps(settings))
    cgroups.create(lab)
    # `slave`: what the machine unmounts is unmounted here too, so the lab keeps no disk busy.
    namespaces = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--propagation", "slave"]
    groups = [str(folder / "supervisor" / "cgroup.procs") for folder in cgroups.folders(lab)]
    enter = 'while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"'
    first = [sys.executable, "-m", pid_one.__name__, str(lab.run / "pid_one.json")]
    log = lab.logs / "supervisor-start.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-ec", enter, "enter", *groups, "--", *namespaces, *first],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        )
    deadline = time.monotonic() + START_SECONDS
    while not states(lab):
        if process.poll() is not None or time.monotonic() > deadline:
            message = log.read_text(encoding="utf-8", errors="replace").strip()
            raise LabError(f"The lab's supervisor did not start: {message or 'it printed no message'}")
        time.sleep(0.05)


def start_component(lab: Lab, name: str) -> None:
    """Start one component unless it runs."""
    try:
        rpc(lab).startProcess(name, False)
    except xmlrpc.client.Fault as error:
        if "ALREADY_STARTED" not in error.faultString:
            raise LabError(f"{name} cannot be started: {error.faultString}. See {lab.logs / name}.log.") from error


def kill(lab: Lab) -> None:
    """Kill the supervisor and with it every process of the lab. etcd and the databases tolerate that."""
    first = pid(lab)
    if first is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
    cgroups.kill(lab)


def in_mounts(lab: Lab) -> list[str]:
    """Return the prefix that runs a command in the lab's mount namespace. Raises LabError if the lab is down."""
    first = pid(lab)
    if first is None:
        raise LabError("The lab's supervisor has ended. Run `python -m lab up` again.")
    return ["nsenter", f"--mount=/proc/{first}/ns/mnt", "--"]
