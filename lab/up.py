"""`up`: bring the lab from any state to one in which it serves."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import api, images, network, packages, pulumi_plugins, removal, supervisor, toolchain
from lab.assembly import Assembly
from lab.component import Component, Probe
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import step

READY_SECONDS = 120.0  # longest wait for one component; all together take 10 s on two idle cores
PODS_SECONDS = 60.0  # longest wait for pods that ran before a restart; one that cannot start does not stop `up`
POLL_SECONDS = 0.05


def tools(lab: Lab, cloud: str) -> None:
    """Get Pulumi, the provider plugins and regctl: what a stack needs on any cluster. Raises LabError."""
    for tool in toolchain.stack_tools():
        toolchain.ensure(lab, tool)
    pulumi_plugins.ensure(lab, cloud)


def up(lab: Lab) -> None:
    """Make the lab serve. Safe to repeat, and continues after a killed run. Raises LabError."""
    packages.ensure()
    removal.finish(lab)
    assembly = Assembly(lab)
    complete = all(tool.cached(lab) for tool in (toolchain.KUBERNETES, toolchain.ADDONS))
    if complete and not assembly.problems():
        tools(lab, "local")
        return
    if not assembly.supervised():
        _start_supervisor(assembly)
    _start_engine(assembly, [assembly.api_server] if complete else [])
    # Base images download while the compilers work.
    with ThreadPoolExecutor(max_workers=1) as background:
        base_images = background.submit(images.ensure, lab, images.BASE_IMAGES)
        tools(lab, "local")
        for tool in (toolchain.ADDONS, toolchain.KUBERNETES):
            toolchain.ensure(lab, tool)
        base_images.result()
    _start_kubernetes(assembly)


def _start_supervisor(assembly: Assembly) -> None:
    """Start a supervisor with the current configuration. An older one is ended first; its data stays."""
    lab = assembly.lab
    with step("network namespace and supervisor"):
        removal.end(lab)
        lab.run.mkdir(parents=True, mode=0o711)
        network.create(lab)
        supervisor.start(lab, assembly.components)
        assembly.mark_supervised()


def _start_engine(assembly: Assembly, others: list[Component]) -> None:
    """Start what builds need, and `others`; wait for the former."""
    with step("containerd, registry, Docker Engine"):
        components = [assembly.containerd, *assembly.engine]
        _start(assembly.lab, [assembly.etcd, *others, *components])
        for component in components:
            _await(assembly.lab, component.name, component.ready)


def _start_kubernetes(assembly: Assembly) -> None:
    lab = assembly.lab
    _start(lab, [assembly.api_server])
    images.ensure(lab, images.IMAGES)
    with step("Kubernetes control plane"):
        _await(lab, assembly.api_server.name, assembly.api_server.ready)
        _start(lab, assembly.clients)
        api.apply(assembly.kubectl, lab, assembly.manifest)
    with step("node, DNS, load balancer addresses, volumes"):
        _await(lab, "kubelet", assembly.node_ready)
        _await(lab, "kube-controller-manager", lambda: api.has_service_account(lab, assembly.authority))
        for component in assembly.components:
            _await(lab, component.name, component.ready)
        for component in assembly.components:
            _await(lab, component.name, lambda name=component.name: supervisor.states(lab).get(name) == "RUNNING")
    if assembly.pods_to_return():
        with step("pods from before the restart") as progress:
            progress.detail = _await_pods(assembly)


def _await_pods(assembly: Assembly) -> str:
    """Wait until the kubelet has restarted the pods that ran before. Return a note about those that did not."""
    deadline = time.monotonic() + PODS_SECONDS
    while pods := assembly.pods_to_return():
        if time.monotonic() > deadline:
            return f"not running again yet: {', '.join(pods)}"
        time.sleep(POLL_SECONDS)
    return ""


def _start(lab: Lab, components: Iterable[Component]) -> None:
    with ThreadPoolExecutor() as threads:  # supervisord starts them in parallel
        list(threads.map(lambda component: supervisor.start_component(lab, component.name), components))


def _await(lab: Lab, name: str, ready: Probe) -> None:
    """Wait until a component is ready. Raises LabError with the end of its log when that takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            log = lab.logs / f"{name}.log"
            raise LabError(f"{name} is not ready after {READY_SECONDS:.0f} s. The end of {log}:\n{_last_lines(log)}")
        time.sleep(POLL_SECONDS)


def _last_lines(log: Path, count: int = 5) -> str:
    if not log.exists():
        return "  (the log is empty)"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line[:300]}" for line in lines)
