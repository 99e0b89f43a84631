"""What a cloud provides to the release: cluster, namespace, registry and database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pulumi

if TYPE_CHECKING:  # the SDK takes a moment to load, and settings are read without it
    import pulumi_kubernetes as k8s

    from contract.settings import ServiceSettings

HTTP_PORT, HTTPS_PORT = 80, 443
#: Annotations of a temporary release stack's namespace: when it ends, and the stack that has its platform. The state
#: knows both even if the first update was killed, when no history has the stack's config.
EXPIRES, PLATFORM_STACK = "addressbook/expires", "addressbook/platform-stack"
#: Value of `gateway` with which the stack runs Traefik itself.
TRAEFIK = "traefik"
#: Controller of every GatewayClass of Traefik (pkg/provider/kubernetes/gateway).
TRAEFIK_CONTROLLER = "traefik.io/gateway-controller"
#: Port of the metrics in Traefik's pods (Prometheus' text format, path /metrics).
TRAEFIK_METRICS_PORT = 9100
#: Point the entrance's name at the load balancer's address (IP address or host name), by a resource with these options.
Publish: TypeAlias = "Callable[[pulumi.Output[str], pulumi.ResourceOptions], None]"


#: Declare what a class of Gateways needs for each Service behind it (the Service, the settings of its pods), by
#: resources with these options; return them.
Policies: TypeAlias = "Callable[[ServiceReference, ServiceSettings, pulumi.ResourceOptions], Sequence[pulumi.Resource]]"


@dataclass(frozen=True)
class ServiceReference:
    """A Kubernetes Service."""

    name: str
    namespace: pulumi.Input[str]
    #: The track whose pods it selects; "" for the public Service.
    track: str = ""


def traefik_app(service: str) -> str:
    """Return the name of the stack's own Traefik, and label ``app`` of its pods, from the name of the service."""
    return f"{service}-traefik"


def traefik_backend(namespace: str, service: str) -> str:
    """Return label ``service`` in Traefik's metrics of a Kubernetes Service behind a Gateway.

    Traefik joins namespace, Service and port by single hyphens (pkg/provider/provider.go).
    """
    return f"{_traefik_name(namespace, service)}-http-{HTTP_PORT}@kubernetesgateway"


def traefik_backends(namespace: str, service: str) -> set[str]:
    """Return that label, and the one of requests that come by a TraefikService, which keeps users with a version."""
    return {
        traefik_backend(namespace, service),
        f"{_traefik_name(namespace, service)}-{HTTP_PORT}@kubernetescrd",
    }


def _traefik_name(namespace: str, service: str) -> str:
    return "-".join(part for part in f"{namespace}-{service}".split("-") if part)


@dataclass(frozen=True)
class OwnTraefik:
    """Traefik, run by the stack as the controller of its Gateway."""

    image: str
    replicas: int


@dataclass(frozen=True)
class Gateway:
    """A Gateway (Kubernetes Gateway API) in front of the release."""

    #: Name of the GatewayClass.
    class_name: pulumi.Input[str]
    #: Name of the Secret with the certificate, in the release's namespace; "": the annotations name the certificate.
    certificate_secret: str = ""
    #: Whether it ends TLS and redirects port 80. Otherwise it serves plain HTTP.
    ends_tls: bool = True
    #: Annotations of the Gateway, which configure its load balancer.
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    #: Name of a reserved address, for a class that knows named addresses; None: the class chooses an address.
    address_name: pulumi.Input[str] | None = None
    #: None: the class needs nothing else.
    policies: Policies | None = None
    #: None: the cluster serves the class. Otherwise the release runs Traefik and sets `class_name`.
    traefik: OwnTraefik | None = None


@dataclass(frozen=True)
class Entrance:
    """How users reach the public Service: its load balancer and its name."""

    #: Annotations of the Service, which configure the load balancer.
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    #: Ports of the load balancer. Behind HTTPS_PORT, it ends TLS itself.
    ports: Sequence[int] = (HTTP_PORT,)
    #: DNS name; "" for the load balancer's own address.
    hostname: str = ""
    #: Address ranges (CIDR) that may connect; empty: any.
    sources: Sequence[str] = ()
    #: None: nobody, or somebody else, publishes the name.
    publish: Publish | None = None
    #: None: the public Service has a load balancer of its own. Otherwise annotations, ports and sources are unused.
    gateway: Gateway | None = None

    @property
    def scheme(self) -> str:
        """Scheme of the public URL."""
        ends_tls = self.gateway.ends_tls if self.gateway else HTTPS_PORT in self.ports
        return "https" if ends_tls else "http"


@dataclass(frozen=True)
class Database:
    """A connection to a PostgreSQL database."""

    host: pulumi.Input[str]
    port: pulumi.Input[int]
    name: pulumi.Input[str]
    user: pulumi.Input[str]
    #: Secret.
    password: pulumi.Output[str]
    #: Whether connections must be encrypted.
    ssl: bool = False
    #: PEM text of the authority that signed the server's certificate; None if the system's authorities suffice.
    ca: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class Administrator:
    """The database server's own user, who may create databases and grant rights."""

    user: pulumi.Input[str]
    #: Secret.
    password: pulumi.Output[str]


@dataclass(frozen=True)
class Registry:
    """The registry that images are pushed to and the cluster pulls from."""

    #: Prefix of a repository's name: host, or host/path.
    url: pulumi.Input[str]
    #: Login for pushing; None if the registry needs none.
    username: pulumi.Input[str] | None = None
    #: Secret.
    password: pulumi.Input[str] | None = None
    #: Docker config (JSON) with a read-only login for pods, a secret; None if nodes log in by themselves.
    pull_config: pulumi.Output[str] | None = None
    #: Name of the Secret with it in the release's namespace (components/pull_secret.py).
    pull_secret: pulumi.Input[str] | None = None
    #: Whether a clean-up rule deletes old builds, so that an image in use needs a release tag (image_copy.py).
    removes_builds: bool = False


@dataclass(frozen=True)
class ClusterAccess:
    """How to reach a cluster from the engine's machine: a context of the user's kubeconfig, or a kubeconfig."""

    context: str = ""
    kubeconfig: pulumi.Input[str] = ""


@dataclass(frozen=True)
class PodIdentity:
    """The identity in the cloud that the service's pods have."""

    #: Name of the Kubernetes service account that the pods run as.
    service_account: pulumi.Input[str]
    #: Address range (CIDR) and port from which the pods get credentials.
    credentials_range: str
    credentials_port: int


@dataclass(frozen=True)
class Platform:
    """Everything that a release needs."""

    kubernetes: k8s.Provider
    namespace: pulumi.Output[str]
    registry: Registry
    database: Database
    #: For code that runs outside the engine.
    cluster: ClusterAccess = field(default_factory=ClusterAccess)
    #: How users reach the public Service.
    entrance: Entrance = field(default_factory=Entrance)
    #: Whether the nodes are in several zones and labelled with theirs.
    has_zones: bool = False
    #: None: pods have no rights in the cloud.
    pod_identity: PodIdentity | None = None
    #: Whether the engine refuses to delete what users depend on.
    protect: bool = False
    #: Stack outputs in addition to the release's.
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Creates the databases of release stacks on this platform. None: the platform cannot be shared.
    administrator: Administrator | None = None
    #: What the cloud's ``connect`` needs to reach cluster and registry. All of it is secret in the stack output.
    access: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])


@dataclass(frozen=True)
class Connection:
    """A release stack's access to another stack's platform. Fields that Platform has too mean the same."""

    kubernetes: k8s.Provider
    #: For code that runs outside the engine.
    cluster: ClusterAccess
    registry: Registry
    entrance: Entrance = field(default_factory=Entrance)
    has_zones: bool = False
    #: Whether the database server's address is outside the cluster and in a private network.
    private_database: bool = True
    #: Declares the pods' identity, in the release's namespace.
    pod_identity: Callable[[pulumi.Output[str]], PodIdentity | None] = lambda namespace: None  # noqa: ARG005
    protect: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])


def cloud_outputs(
    cluster: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
    registry: Registry,
    database: Database,
) -> dict[str, Any]:
    """Return the stack outputs that every cloud's platform has."""
    return {
        "clusterName": cluster,
        "clusterEndpoint": endpoint,
        "kubeconfig": kubeconfig,
        "registryUrl": registry.url,
        "databaseHost": database.host,
        "databasePassword": database.password,
    }
