"""`status`: what of the lab runs, where to reach it, and what in it is not the official thing."""

from __future__ import annotations

import re
import shutil
from typing import Any

from lab import images, packages, pulumi_plugins, remembered, supervisor, toolchain
from lab.errors import LabError
from lab.layout import Lab
from lab.room import Room

SIMULATED = (
    "load balancer addresses: Kubernetes' own service controller over the lab's address range, no cloud behind it",
    "the node is this machine in a network namespace; network policies are stored and not enforced",
    "pods reach each other, the registry and this machine, and nothing outside",
)


def status(lab: Lab) -> dict[str, Any]:
    """Everything `status` prints, ready for JSON. Changes nothing on the machine."""
    states = supervisor.states(lab)
    built = toolchain.KUBERNETES.built(lab) and toolchain.ADDONS.built(lab)
    faults = _faults(lab) if lab.kubeconfig.exists() and built else ["it has not been started"]
    return {
        "name": lab.name,
        "running": bool(states),
        "serving": not faults,
        "faults": faults,
        "components": states,
        "kubernetes": toolchain.KUBERNETES_VERSION,
        "api": lab.api_url,
        "kubeconfig": str(lab.kubeconfig),
        "context": lab.name,
        "registry": lab.registry,
        "docker": f"unix://{lab.docker_socket}",
        "loadBalancerRange": lab.load_balancer_range,
        "logs": str(lab.logs),
        "pulumi": _pulumi(lab),
        "standIns": {
            "plugins": pulumi_plugins.stand_ins(lab),
            "images": [image.reference for image in images.IMAGES if image.on_hub and image.made_here(lab)],
        },
        "simulated": list(SIMULATED),
        "refused": remembered.refusals(lab),
    }


def _faults(lab: Lab) -> list[str]:
    if packages.cni_folder() is None:
        return ["packages are missing"]
    try:
        return Room(lab).faults()
    except (LabError, OSError) as fault:  # for one, this user may not read the lab's credentials
        return [str(fault)]


def _pulumi(lab: Lab) -> str:
    if toolchain.pulumi_installed():
        return str(shutil.which("pulumi"))
    folder = toolchain.PULUMI.binaries(lab)
    return str(folder / "pulumi") if toolchain.PULUMI.built(lab) else "not built yet"


def text(report: dict[str, Any]) -> str:
    """The same for people."""
    state = "serving" if report["serving"] else "running, not serving" if report["running"] else "down"
    lines = [f"{report['name']}: {state}"]
    if not report["serving"] and report["running"]:
        lines += [f"  ✗ {fault}" for fault in report["faults"]]
    if report["running"]:
        lines += [f"  {name:26} {state.lower()}" for name, state in report["components"].items()]
        for title in ("api", "kubeconfig", "registry", "docker", "loadBalancerRange", "logs"):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title).lower()
            lines.append(f"  {words:26} {report[title]}")
    lines.append(f"  {'pulumi':26} {report['pulumi']}")
    stand_ins = report["standIns"]
    if stand_ins["plugins"]:
        lines.append(
            f"stand-ins for Pulumi's plugins (the official ones can't be had): {', '.join(stand_ins['plugins'])}"
        )
    if stand_ins["images"]:
        lines.append(
            f"images made from Debian packages (Docker Hub can't be reached): {', '.join(stand_ins['images'])}"
        )
    lines += [f"simulated: {line}" for line in report["simulated"]] if report["running"] else []
    return "\n".join(lines)
