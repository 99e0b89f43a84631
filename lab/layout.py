"""Where everything of a lab is: its name, addresses and folders. All address ranges of the project's lab are here.

A lab owns one /16, by default 10.203.0.0/16. `ADDRESSBOOK_LAB_NAME` and `ADDRESSBOOK_LAB_NETWORK` make a second lab
beside the first (another name, another /16); everything else follows from those two.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Lab:
    """Names, addresses and folders of one lab; nothing here touches the machine."""

    name: str
    network: ipaddress.IPv4Network  # the lab's /16
    cache: Path  # survives `down`; shared by all labs of this user

    @classmethod
    def from_environment(cls) -> Lab:
        """The lab that the environment names. Raises LabError for a name or network that can't be used."""
        name = os.environ.get("ADDRESSBOOK_LAB_NAME") or "addressbook-lab"
        if not NAME_PATTERN.fullmatch(name):
            raise LabError(
                f"ADDRESSBOOK_LAB_NAME={name!r} can't name a lab: use up to 31 lower-case letters, digits and dashes, "
                "beginning with a letter."
            )
        text = os.environ.get("ADDRESSBOOK_LAB_NETWORK") or "10.203.0.0/16"
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as fault:
            raise LabError(
                f"ADDRESSBOOK_LAB_NETWORK={text!r} is no IPv4 network ({fault}): use a free /16 such as 10.203.0.0/16."
            ) from fault
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
        """The machine's end: registry and Docker builds are here (10.203.0.1)."""
        return self._address(1)

    @property
    def node_address(self) -> str:
        """The node's end: API server, kubelet and DNS (10.203.0.2)."""
        return self._address(2)

    @property
    def cable_network(self) -> str:
        return self._range(0, 30)

    @property
    def host_link(self) -> str:
        """Name of the veth on the machine's side; the kernel allows 15 characters (lab-10-203)."""
        first, second, *_ = str(self.network.network_address).split(".")
        return f"lab-{first}-{second}"

    # Ranges behind the node, reached by routes through the cable.
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
        """Where the registry keeps its repositories, by name."""
        return self.state / "registry" / "docker" / "registry" / "v2" / "repositories"

    @property
    def state(self) -> Path:
        """What must survive a reboot of the machine; gone after `down`."""
        return Path("/var/lib") / self.name

    @property
    def run(self) -> Path:
        """Sockets and what a restart of the lab throws away; gone after `down`."""
        return Path("/run") / self.name

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def zones(self) -> Path:
        """Zone files that DNS answers from, beside the cluster's own names; it sees changes by itself."""
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
        """Outside the folders that `down` removes, so that nobody can lock a file that is about to vanish."""
        return Path("/run/lock") / f"{self.name}.lock"
