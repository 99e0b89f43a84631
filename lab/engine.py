"""The lab's Docker Engine and registry. Both use the machine's network, so that builds reach the internet."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from string import Template

from lab.component import PROBE_SECONDS, Component, answers_http
from lab.files import write
from lab.layout import Lab

REGISTRY_CONFIG = Template("""\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: $state/registry
  delete:
    enabled: true
http:
  addr: $registry
health:
  storagedriver:
    enabled: false
""")


def components(lab: Lab) -> list[Component]:
    return [_registry(lab), _docker(lab)]


def _registry(lab: Lab) -> Component:
    config = lab.state / "registry.yaml"
    write(config, REGISTRY_CONFIG.substitute(state=lab.state, registry=lab.registry))
    ready = answers_http(lab.host_address, 5000, "/v2/")
    return Component("registry", ["docker-registry", "serve", str(config)], in_node=False, ready=ready)


def _docker(lab: Lab) -> Component:
    settings = {
        "data-root": str(lab.state / "docker"),
        "exec-root": str(lab.run / "docker"),
        "pidfile": str(lab.run / "docker.pid"),
        "hosts": [f"unix://{lab.docker_socket}"],
        "group": "root",
        # Leave the machine's network as it is: no bridge, no firewall rule, no forwarding.
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        # Twice: the engine expects host and port, and its BuildKit uses plain HTTP only with the scheme.
        "insecure-registries": [lab.registry, f"http://{lab.registry}"],
        "registry-mirrors": [f"http://{lab.registry}"],
        "cgroup-parent": f"/{lab.name}/docker",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    }
    config = lab.state / "docker.json"
    write(config, json.dumps(settings, indent=2))
    command = ["dockerd", f"--config-file={config}"]
    return Component("docker", command, in_node=False, ready=lambda: answers_ping(lab.docker_socket))


def answers_ping(path: Path) -> bool:
    """Return whether a Docker Engine answers at this socket."""
    connection = http.client.HTTPConnection("docker", timeout=PROBE_SECONDS)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PROBE_SECONDS)
            client.connect(str(path))
            connection.sock = client
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
