"""The kinds that this stand-in covers: those that the program declares."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from lab.plugins.provider import ProviderError

VERSION = "4.34.2"
INSTALL_OFFICIAL = f"Install the official plugin: pulumi plugin install resource kubernetes {VERSION}."


@dataclass(frozen=True)
class Kind:
    """A kind of object and its place in the API.

    ``immutable``: property paths whose change replaces the object. They are the official provider's, which are not
    always the API server's own.
    """

    name: str
    api_version: str
    plural: str
    namespaced: bool = True
    immutable: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Return Pulumi's type token, such as `kubernetes:core/v1:Secret`."""
        group = self.api_version if "/" in self.api_version else f"core/{self.api_version}"
        return f"kubernetes:{group}:{self.name}"

    def path(self, namespace: str, name: str = "") -> str:
        """Return the URL path of one object, or without a name that of the collection."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{quote(namespace or 'default')}" if self.namespaced else ""
        return f"{root}{scope}/{self.plural}" + (f"/{quote(name)}" if name else "")


_RBAC = "rbac.authorization.k8s.io/v1"
_DECLARED = (
    Kind("ClusterRole", _RBAC, "clusterroles", namespaced=False),
    Kind("ClusterRoleBinding", _RBAC, "clusterrolebindings", namespaced=False, immutable=("roleRef",)),
    Kind("ConfigMap", "v1", "configmaps"),
    Kind("Deployment", "apps/v1", "deployments", immutable=("spec.selector",)),
    Kind("GCPBackendPolicy", "networking.gke.io/v1", "gcpbackendpolicies"),
    Kind("Gateway", "gateway.networking.k8s.io/v1", "gateways"),
    Kind("GatewayClass", "gateway.networking.k8s.io/v1", "gatewayclasses", namespaced=False),
    Kind("HealthCheckPolicy", "networking.gke.io/v1", "healthcheckpolicies"),
    Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes"),
    Kind(
        "Job",
        "batch/v1",
        "jobs",
        immutable=("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ),
    Kind("Namespace", "v1", "namespaces", namespaced=False),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind(
        "PersistentVolumeClaim",
        "v1",
        "persistentvolumeclaims",
        immutable=("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("Role", _RBAC, "roles"),
    Kind("RoleBinding", _RBAC, "rolebindings", immutable=("roleRef",)),
    Kind("Secret", "v1", "secrets", immutable=("type",)),
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("Service", "v1", "services", immutable=("spec.clusterIP",)),
    Kind(
        "StatefulSet",
        "apps/v1",
        "statefulsets",
        immutable=(
            "spec.podManagementPolicy",
            "spec.revisionHistoryLimit",
            "spec.selector",
            "spec.serviceName",
            "spec.volumeClaimTemplates",
        ),
    ),
    Kind("TraefikService", "traefik.io/v1alpha1", "traefikservices"),
)
# A wait reads these to tell why an object is not ready.
_READ_BY_WAITS = (
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
    Kind("Pod", "v1", "pods"),
    Kind("ReplicaSet", "apps/v1", "replicasets"),
    Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
)
KINDS = {kind.name: kind for kind in (*_DECLARED, *_READ_BY_WAITS)}
_BY_TYPE = {kind.type: kind for kind in _DECLARED}


def covered(resource_type: str) -> Kind:
    """Return the kind of a type token. Raises ProviderError when this stand-in does not cover it."""
    if resource_type not in _BY_TYPE:
        names = ", ".join(kind.name for kind in _DECLARED)
        raise ProviderError(f"The lab's stand-in has no {resource_type}, only {names}. {INSTALL_OFFICIAL}")
    return _BY_TYPE[resource_type]
