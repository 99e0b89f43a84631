"""When a Service is ready."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lab.plugins.kubernetes.awaiting import State
from lab.plugins.kubernetes.cluster import Cluster
from lab.plugins.kubernetes.objects import name_of, namespace_of
from lab.plugins.properties import Properties

# Seconds for which a Service's endpoints must stay the same. The official provider always waits 10. One second is
# enough to see whether more endpoints follow the first.
SETTLED = 1.0
SETTLED_EMPTY = 10.0

NO_PODS = (
    "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector' may not match "
    "labels on any Pods"
)
NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?"
ADDRESSING = "[2/3] Attempting to allocate IP address to Service"


@dataclass
class ServiceReadiness:
    """A Service is ready when all the pods it selects are, and when a LoadBalancer has an address."""

    cluster: Cluster
    settling: bool = True
    _seen: tuple[int, int] | None = None
    _since: float = 0.0

    def __call__(self, live: Properties) -> State:
        spec = live.get("spec") or {}
        addresses = ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress")
        addressed = spec.get("type") != "LoadBalancer" or bool(addresses)
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
            return State(addressed, ADDRESSING, problems=lambda: [NO_ADDRESS])
        ready, unready = self._endpoints(live)
        now = time.monotonic()
        if (ready, unready) != self._seen:
            self._seen, self._since = (ready, unready), now
        settled = not self.settling or now - self._since >= (SETTLED if ready else SETTLED_EMPTY)
        targeted = unready == 0 and settled
        progress = ADDRESSING if targeted else "[1/3] Finding Pods to direct traffic to"
        reasons = ([] if unready == 0 else [NO_PODS]) + ([] if addressed else [NO_ADDRESS])
        return State(targeted and addressed, progress, problems=lambda: reasons)

    def _endpoints(self, live: Properties) -> tuple[int, int]:
        """Count the endpoints that are ready and those that are not. Terminating ones do not count."""
        ready = unready = 0
        label = f"kubernetes.io/service-name={name_of(live)}"
        for endpoint_slice in self.cluster.list("EndpointSlice", namespace_of(live), label):
            for endpoint in endpoint_slice.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                if conditions.get("ready") is not False:
                    ready += 1
                elif not conditions.get("terminating"):
                    unready += 1
        return ready, unready
