"""When a Service or an Ingress is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.plugins.kubernetes.awaiting import State
from lab.plugins.kubernetes.cluster import Cluster
from lab.plugins.kubernetes.objects import name_of, namespace_of
from lab.plugins.properties import Properties

# How long a Service's endpoints must have been the same, in seconds. The official provider waits 10 in any case;
# where pods do answer one is enough to see whether more are about to, and only a Service without any takes the 10.
SETTLED = 1.0
SETTLED_EMPTY = 10.0

NO_PODS = (
    "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector' may not match "
    "labels on any Pods"
)
NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?"


@dataclass
class ServiceReadiness:
    """Ready: no pod it selects is unready, and a LoadBalancer has an address."""

    cluster: Cluster
    settling: bool = True
    _seen: tuple[int, int] | None = None
    _since: float = 0.0

    def __call__(self, live: Properties) -> State:
        spec = live.get("spec") or {}
        addressed = spec.get("type") != "LoadBalancer" or bool(_addresses(live))
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
            return State(addressed, "[2/3] Attempting to allocate IP address to Service", problems=lambda: [NO_ADDRESS])
        ready, unready = self._endpoints(live)
        now = time.monotonic()
        if (ready, unready) != self._seen:
            self._seen, self._since = (ready, unready), now
        settled = not self.settling or now - self._since >= (SETTLED if ready else SETTLED_EMPTY)
        targeted = unready == 0 and settled
        progress = (
            "[2/3] Attempting to allocate IP address to Service"
            if targeted
            else ("[1/3] Finding Pods to direct traffic to")
        )
        reasons = ([] if unready == 0 else [NO_PODS]) + ([] if addressed else [NO_ADDRESS])
        return State(targeted and addressed, progress, problems=lambda: reasons)

    def _endpoints(self, live: Properties) -> tuple[int, int]:
        """How many addresses are ready, and how many are not (those on their way out aside)."""
        ready = unready = 0
        label = f"kubernetes.io/service-name={name_of(live)}"
        for piece in self.cluster.list("discovery.k8s.io/v1", "EndpointSlice", namespace_of(live), label):
            for endpoint in piece.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                if conditions.get("ready") is not False:
                    ready += 1
                elif not conditions.get("terminating"):
                    unready += 1
        return ready, unready


def _addresses(live: Properties) -> list[Properties]:
    return ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


@dataclass(frozen=True)
class IngressReadiness:
    """Ready: each Service that it leads to exists, and it has an address."""

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        services = {name_of(each) for each in self.cluster.list("v1", "Service", namespace_of(live))}
        missing = sorted(_backends(live) - services)
        reasons = [f"No matching service found for ingress rule: {name}" for name in missing]
        if not _addresses(live):
            reasons.append("Ingress .status.loadBalancer field was not updated with a hostname/IP address.")
        progress = (
            "[1/3] Finding a matching service for each Ingress path"
            if missing
            else ("[2/3] Waiting for update of .status.loadBalancer with hostname/IP")
        )
        return State(not reasons, progress, problems=lambda: reasons)


def _backends(ingress: Properties) -> set[str]:
    spec = ingress.get("spec") or {}
    backends = [spec.get("defaultBackend") or {}]
    for rule in spec.get("rules") or []:
        backends += [path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or []]
    return {backend["service"]["name"] for backend in backends if backend.get("service")}


NETWORKING: dict[tuple[str, str], Callable[[Cluster], Callable[[Properties], State]]] = {
    ("v1", "Service"): ServiceReadiness,
    ("networking.k8s.io/v1", "Ingress"): IngressReadiness,
}
