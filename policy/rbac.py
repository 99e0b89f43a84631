"""Roles in the cluster name what they allow."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.pods import kind_of
from policy.rules import Resource, Rule, Validation, at, check_each, list_at

FIELDS = ("verbs", "resources", "apiGroups", "nonResourceURLs")
#: Roles that allow everything (Kubernetes documentation, Using RBAC authorization).
EVERYTHING = ("cluster-admin",)
#: Subjects that anybody is, or any pod.
ANYBODY = (
    "system:anonymous",
    "system:unauthenticated",
    "system:authenticated",
    "system:serviceaccounts",
)
API = "kubernetes:rbac.authorization.k8s.io/"


def _named(role: Resource) -> str | None:
    for rule in list_at(role.props, "rules"):
        for field in FIELDS:
            if wildcards := [str(each) for each in list_at(rule, field) if _is_wildcard(field, str(each))]:
                return f"the role allows {field} {', '.join(wildcards)}: name those that are needed"
    return None


def _is_wildcard(field: str, value: str) -> bool:
    # `/metrics/*` names a part of the API server's paths.
    return value in ("*", "/*") if field == "nonResourceURLs" else "*" in value


def _bound(binding: Resource) -> str | None:
    role = at(binding.props, "roleRef", "name")
    if role in EVERYTHING:
        return f"the binding gives role {role}, which allows everything: bind a role that names what is needed"
    subjects = [str(each.get("name")) for each in list_at(binding.props, "subjects")]
    if anybody := [name for name in subjects if name in ANYBODY]:
        return (
            f"the binding is for {', '.join(anybody)}, which includes every user or every pod: name the subjects that"
            " need the role"
        )
    return None


RULES: dict[str, Rule[Resource]] = {
    "Role": _named,
    "ClusterRole": _named,
    "RoleBinding": _bound,
    "ClusterRoleBinding": _bound,
}


def _by_kind() -> Validation:
    return check_each(
        lambda resource: [resource] if resource.resource_type.startswith(API) else [],
        lambda resource: rule(resource) if (rule := RULES.get(kind_of(resource) or "")) else None,
    )


POLICIES = [
    ResourceValidationPolicy(
        name="named-rights",
        description="Roles in the cluster have no wildcards and no subjects that anybody is.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=_by_kind(),
    ),
]
