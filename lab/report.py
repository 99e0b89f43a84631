"""`status`: what runs, where to reach it, and what is not the official software."""

from __future__ import annotations

import re
import shutil
from typing import Any

from lab import images, packages, pulumi_plugins, refusal_cache, supervisor, toolchain
from lab.assembly import Assembly
from lab.errors import LabError
from lab.layout import Lab

SIMULATED = (
    "load balancer addresses: Kubernetes' own service controller over the lab's address range, without a cloud",
    "the node is this machine in a network namespace; network policies are stored and not enforced",
    "pods reach each other, the registry and this machine, but nothing outside",
)


def status(lab: Lab) -> dict[str, Any]:
    """Return everything that `status` prints, ready for JSON. Changes nothing on the machine."""
    states = supervisor.states(lab)
    cached = toolchain.KUBERNETES.cached(lab) and toolchain.ADDONS.cached(lab)
    problems = _problems(lab) if lab.kubeconfig.exists() and cached else ["it has not been started"]
    return {
        "name": lab.name,
        "running": bool(states),
        "serving": not problems,
        "faults": problems,
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
            "images": [image.reference for image in images.IMAGES if image.on_hub and image.built_here(lab)],
        },
        "simulated": list(SIMULATED),
        "refused": refusal_cache.refusals(lab),
    }


def _problems(lab: Lab) -> list[str]:
    if packages.cni_folder() is None:
        return ["packages are missing"]
    try:
        return Assembly(lab).problems()
    except (LabError, OSError) as error:  # for example: this user may not read the lab's credentials
        return [str(error)]


def _pulumi(lab: Lab) -> str:
    if toolchain.pulumi_installed():
        return str(shutil.which("pulumi"))
    folder = toolchain.PULUMI.binaries(lab)
    return str(folder / "pulumi") if toolchain.PULUMI.cached(lab) else "not in the cache yet"


def text(report: dict[str, Any]) -> str:
    """Return the report as text."""
    state = "serving" if report["serving"] else "running, not serving" if report["running"] else "down"
    lines = [f"{report['name']}: {state}"]
    if not report["serving"] and report["running"]:
        lines += [f"  ✗ {problem}" for problem in report["faults"]]
    if report["running"]:
        lines += [f"  {name:26} {state.lower()}" for name, state in report["components"].items()]
        for title in ("api", "kubeconfig", "registry", "docker", "loadBalancerRange", "logs"):
            label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title).lower()
            lines.append(f"  {label:26} {report[title]}")
    lines.append(f"  {'pulumi':26} {report['pulumi']}")
    stand_ins = report["standIns"]
    if stand_ins["plugins"]:
        lines.append(f"stand-ins for Pulumi plugins that are not available: {', '.join(stand_ins['plugins'])}")
    if stand_ins["images"]:
        lines.append(
            f"images built from Debian packages (Docker Hub is out of reach): {', '.join(stand_ins['images'])}"
        )
    lines += [f"simulated: {line}" for line in report["simulated"]] if report["running"] else []
    return "\n".join(lines)
