"""`up`: bring the lab to the state in which it serves, from whatever state it is in."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import api, images, network, packages, pulumi_plugins, removal, supervisor, toolchain
from lab.component import Component, Probe
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import step
from lab.room import Room

READY_SECONDS = 120.0  # longest wait for one component; all together take 10 s on two idle cores
PODS_SECONDS = 60.0  # longest wait for pods that ran before a restart; one that can't start doesn't stop `up`
POLL_SECONDS = 0.05


def tools(lab: Lab, cloud: str) -> None:
    """Get or build Pulumi, the provider plugins and regctl: all that a stack on another cluster needs."""
    for tool in toolchain.stack_tools():
        toolchain.ensure(lab, tool)
    pulumi_plugins.ensure(lab, cloud)


def up(lab: Lab) -> None:
    """Make the lab serve. Repeatable, and goes on where a killed run has stopped. Raises LabError."""
    packages.ensure()
    for tool in (toolchain.KUBERNETES, toolchain.ADDONS):
        toolchain.ensure(lab, tool)
    removal.finish(lab)
    room = Room(lab)
    if not room.faults():
        return
    if not room.supervised():
        _start_supervisor(room)
    _start_components(room)


def _start_supervisor(room: Room) -> None:
    """A supervisor with the configuration of now. What an older one ran is ended first; its data stays."""
    lab = room.lab
    with step("network namespace and supervisor"):
        removal.end(lab)
        lab.run.mkdir(parents=True, mode=0o711)
        network.create(lab)
        supervisor.start(lab, room.components)
        room.mark_supervised()


def _start_components(room: Room) -> None:
    lab, authority = room.lab, room.authority
    with step("containerd, registry, Docker Engine"):
        early = [room.containerd, *room.engine]
        _start(lab, [room.etcd, room.api_server, *early])
        for component in early:
            _await(lab, component.name, component.ready)
    images.ensure(lab)
    with step("Kubernetes control plane"):
        _await(lab, room.api_server.name, room.api_server.ready)
        _start(lab, room.clients)
        api.apply(room.kubectl, lab, room.manifest)
    with step("node, DNS, load balancer addresses, volumes"):
        _await(lab, "kubelet", room.node_ready)
        _await(lab, "kube-controller-manager", lambda: api.has_service_account(lab, authority))
        for component in room.components:
            _await(lab, component.name, component.ready)
        for component in room.components:
            _await(lab, component.name, lambda name=component.name: supervisor.states(lab).get(name) == "RUNNING")
    if room.pods_to_return():
        with step("pods from before the restart") as progress:
            progress.detail = _await_pods(room)


def _await_pods(room: Room) -> str:
    """Wait until the kubelet has started again what ran before; what could not be, as detail for the user."""
    deadline = time.monotonic() + PODS_SECONDS
    while left := room.pods_to_return():
        if time.monotonic() > deadline:
            return f"not running again yet: {', '.join(left)}"
        time.sleep(POLL_SECONDS)
    return ""


def _start(lab: Lab, components: Iterable[Component]) -> None:
    with ThreadPoolExecutor() as threads:  # supervisord answers each call on its own
        list(threads.map(lambda component: supervisor.start_component(lab, component.name), components))


def _await(lab: Lab, name: str, ready: Probe) -> None:
    """Wait until `ready`. Raises LabError with the end of the component's log when that takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            log = lab.logs / f"{name}.log"
            raise LabError(f"{name} is not ready after {READY_SECONDS:.0f} s. The end of {log}:\n{_last_lines(log)}")
        time.sleep(POLL_SECONDS)


def _last_lines(log: Path, count: int = 5) -> str:
    if not log.exists():
        return "  (it has written nothing)"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line[:300]}" for line in lines)
