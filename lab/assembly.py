"""The parts of one lab, assembled: configuration files, components in their order, credentials."""

from __future__ import annotations

from pathlib import Path

from lab import addons, api, control_plane, engine, images, network, node, packages, supervisor, toolchain
from lab.certificates import Authority
from lab.component import Component
from lab.errors import LabError
from lab.files import write
from lab.layout import Lab


class Assembly:
    """Writes certificates and configuration files when it is created; starts nothing."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.state.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.authority = Authority(lab.state / "certificates")
        self.authority.ensure()
        write(lab.kubeconfig, self.authority.kubeconfig(lab, control_plane.ADMINISTRATOR), mode=0o600)
        cni = packages.cni_folder()
        if cni is None:
            raise LabError("The network plugins for pods are missing: install containernetworking-plugins.")
        kubernetes = toolchain.KUBERNETES.binaries(lab)
        self.kubectl = kubernetes / "kubectl"
        self.etcd, self.api_server, *controllers = control_plane.components(lab, self.authority, kubernetes)
        self.containerd, *node_agents = node.components(lab, self.authority, kubernetes, cni)
        self.engine = engine.components(lab)
        self.clients = [  # of the API server
            *controllers,
            *node_agents,
            *addons.components(lab, self.authority, toolchain.ADDONS.binaries(lab)),
        ]
        self.manifest = addons.manifest()
        self.fingerprint = supervisor.fingerprint(lab, supervisor.program_list(lab, self.components) + self.manifest)

    @property
    def components(self) -> list[Component]:
        """All components, in the order in which they start."""
        return [self.etcd, self.api_server, self.containerd, *self.engine, *self.clients]

    def supervised(self) -> bool:
        """Return whether the running supervisor was started with the current configuration."""
        mark = self._configured
        current = mark.exists() and mark.read_text(encoding="utf-8") == self.fingerprint
        return current and bool(supervisor.states(self.lab)) and network.complete(self.lab)

    def mark_supervised(self) -> None:
        """Record the configuration that the supervisor was started with, and when."""
        write(self._configured, self.fingerprint)

    @property
    def _configured(self) -> Path:
        return self.lab.run / "configured"

    def node_ready(self) -> bool:
        """Return whether the kubelet that runs now reports the node as ready."""
        mark = self._configured
        return mark.exists() and api.node_ready(self.lab, self.authority, since=mark.stat().st_mtime)

    def pods_to_return(self) -> list[str]:
        """Return the pods that ran before the supervisor was started and have not restarted yet."""
        return api.pods_to_return(self.lab, self.authority, since=self._configured.stat().st_mtime)

    def problems(self) -> list[str]:
        """Return one sentence for each problem that keeps the lab from serving."""
        states = supervisor.states(self.lab)
        if not states:
            return ["the supervisor does not answer"]
        problems = [
            f"{component.name} is {states.get(component.name, 'not configured').lower()}"
            for component in self.components
            if states.get(component.name) != "RUNNING"
        ]
        problems += [f"{component.name} does not answer" for component in self.components if not component.ready()]
        if not network.complete(self.lab):
            problems.append("the network namespace, its cable or a route is missing")
        if not self.supervised():
            problems.append("the configuration has changed since the start")
        if not self.node_ready():
            problems.append("the node is not ready")
        if not api.has_default_class(self.lab, self.authority):
            problems.append("the add-ons' objects are missing")
        problems += [f"the registry does not have {image.reference}" for image in images.missing(self.lab)]
        return problems
