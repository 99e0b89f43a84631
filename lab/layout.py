"""A lab's name, addresses and folders. All its address ranges are defined here.

A lab owns one /16, by default 10.203.0.0/16. `ADDRESSBOOK_LAB_NAME` and `ADDRESSBOOK_LAB_NETWORK` describe a second lab
beside the first; everything else follows from these two.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

PACKAGE = Path(__file__).resolve().parent
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Lab:
    """Names, addresses and folders of one lab; nothing here touches the machine."""

    name: str
    network: ipaddress.IPv4Network  # the lab's /16
    cache: Path  # survives `down`; shared by all labs of this user

    @classmethod
    def from_environment(cls) -> Lab:
        """Return the lab that the environment names. Raises LabError for an invalid name or network."""
        name = os.environ.get("ADDRESSBOOK_LAB_NAME") or "addressbook-lab"
        if not NAME_PATTERN.fullmatch(name):
            raise LabError(
                f"ADDRESSBOOK_LAB_NAME={name!r} is not a valid name. Use up to 31 lower-case letters, digits and "
                "dashes, starting with a letter."
            )
        text = os.environ.get("ADDRESSBOOK_LAB_NETWORK") or "10.203.0.0/16"
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise LabError(
                f"ADDRESSBOOK_LAB_NETWORK={text!r} is not an IPv4 network: {error}. Use a free /16: 10.203.0.0/16."
            ) from error
        if network.prefixlen != 16:
            raise LabError(f"ADDRESSBOOK_LAB_NETWORK={text!r} must be a /16, such as 10.203.0.0/16.")
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(name, network, Path(home) / "addressbook-lab")

    def _address(self, offset: int) -> str:
        return str(self.network.network_address + offset)

    def _range(self, third_octet: int, length: int) -> str:
        return f"{self._address(third_octet * 256)}/{length}"

    # The cable between the machine and the lab's network namespace: one veth pair.
    @property
    def host_address(self) -> str:
        """The machine's end, with the registry and Docker builds (10.203.0.1)."""
        return self._address(1)

    @property
    def node_address(self) -> str:
        """The node's end, with the API server, kubelet and DNS (10.203.0.2)."""
        return self._address(2)

    @property
    def cable_network(self) -> str:
        return self._range(0, 30)

    @property
    def host_link(self) -> str:
        """Name of the veth on the machine's side (lab-10-203); the kernel allows 15 characters."""
        first, second, *_ = str(self.network.network_address).split(".")
        return f"lab-{first}-{second}"

    # Ranges behind the node, routed through the cable.
    @property
    def load_balancer_range(self) -> str:
        """Addresses for Services of type LoadBalancer (10.203.1.0/24)."""
        return self._range(1, 24)

    @property
    def server_range(self) -> str:
        """Addresses of a simulated cloud's servers, on the machine's end of the cable (10.203.2.0/24)."""
        return self._range(2, 24)

    @property
    def pod_range(self) -> str:
        return self._range(64, 18)

    @property
    def service_range(self) -> str:
        return self._range(128, 18)

    @property
    def kubernetes_service(self) -> str:
        """ClusterIP of the Service `kubernetes`: always the first of the range."""
        return self._address(128 * 256 + 1)

    @property
    def api_url(self) -> str:
        return f"https://{self.node_address}:6443"

    @property
    def registry(self) -> str:
        """The registry's host and port, the same for the machine and for the node; plain HTTP."""
        return f"{self.host_address}:5000"

    # Folders
    @property
    def repositories(self) -> Path:
        """The registry's repositories, by name."""
        return self.state / "registry" / "docker" / "registry" / "v2" / "repositories"

    @property
    def state(self) -> Path:
        """Data that survives a reboot of the machine; removed by `down`."""
        return Path("/var/lib") / self.name

    @property
    def run(self) -> Path:
        """Sockets and data that a restart of the lab discards; removed by `down`."""
        return Path("/run") / self.name

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def zones(self) -> Path:
        """Zone files that the DNS server reads besides the cluster's own names; it notices changes."""
        return self.state / "zones"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def docker_socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def namespace_file(self) -> Path:
        """Where `ip netns` looks for the network namespace."""
        return Path("/run/netns") / self.name

    @property
    def lock_file(self) -> Path:
        """Outside the folders that `down` removes, so that no process locks a file that is about to be deleted."""
        return Path("/run/lock") / f"{self.name}.lock"
