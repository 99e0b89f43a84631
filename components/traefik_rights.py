"""What Traefik may read and write: the Gateways of one namespace, and what they refer to."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.gateway_definitions import GATEWAY_GROUP, OWN_KINDS
from components.pod import Labels
from components.routing import TRAEFIK_GROUP

RBAC_API = "rbac.authorization.k8s.io"
READ = ["list", "watch"]

PolicyRule = k8s.rbac.v1.PolicyRuleArgsDict
#: In the namespace. Traefik starts only once it can list all of these, used or not.
RULES: list[PolicyRule] = [
    # Certificates are Secrets, and a list cannot be limited to some names.
    {"api_groups": [""], "resources": ["configmaps", "secrets", "services"], "verbs": READ},
    {"api_groups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {
        "api_groups": [GATEWAY_GROUP],
        "resources": ["backendtlspolicies", "gateways", "grpcroutes", "httproutes", "referencegrants"],
        "verbs": READ,
    },
    {"api_groups": [GATEWAY_GROUP], "resources": ["gateways/status", "httproutes/status"], "verbs": ["update"]},
]
#: Traefik's own kinds, of which a route with ``sticky`` refers to one. Traefik must list all of them again.
OWN_RULES: list[PolicyRule] = [{"api_groups": [TRAEFIK_GROUP], "resources": sorted(OWN_KINDS), "verbs": READ}]


def traefik_rights(
    labels: Labels,
    namespace: pulumi.Input[str],
    class_name: pulumi.Input[str],
    sticky: bool,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Declare the service account ``labels.app``, its role in the namespace, and what only a cluster's role can allow.

    Return the bindings, after which the account has its rights.
    """
    subject: k8s.rbac.v1.SubjectArgsDict = {"kind": "ServiceAccount", "name": labels.app, "namespace": namespace}
    own: k8s.meta.v1.ObjectMetaArgsDict = {"name": labels.app, "namespace": namespace, "labels": labels.all}
    cluster: k8s.meta.v1.ObjectMetaArgsDict = {"name": class_name, "labels": labels.all}
    account = k8s.core.v1.ServiceAccount("traefik", metadata=own, automount_service_account_token=False, opts=opts)
    role = k8s.rbac.v1.Role("traefik", metadata=own, rules=[*RULES, *(OWN_RULES if sticky else [])], opts=opts)
    cluster_role = k8s.rbac.v1.ClusterRole("traefik", metadata=cluster, rules=_cluster_rules(class_name), opts=opts)
    return [
        k8s.rbac.v1.RoleBinding(
            "traefik",
            metadata=own,
            role_ref={"api_group": RBAC_API, "kind": "Role", "name": labels.app},
            subjects=[subject],
            opts=_after(opts, account, role),
        ),
        k8s.rbac.v1.ClusterRoleBinding(
            "traefik",
            metadata=cluster,
            role_ref={"api_group": RBAC_API, "kind": "ClusterRole", "name": class_name},
            subjects=[subject],
            opts=_after(opts, account, cluster_role),
        ),
    ]


def _after(opts: pulumi.ResourceOptions, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(resources)))


def _cluster_rules(class_name: pulumi.Input[str]) -> list[PolicyRule]:
    return [
        # A Gateway may select the namespaces of its routes by their labels.
        {"api_groups": [""], "resources": ["namespaces"], "verbs": READ},
        {"api_groups": [GATEWAY_GROUP], "resources": ["gatewayclasses"], "verbs": READ},
        {
            "api_groups": [GATEWAY_GROUP],
            "resources": ["gatewayclasses/status"],
            "resource_names": [class_name],
            "verbs": ["update"],
        },
    ]
