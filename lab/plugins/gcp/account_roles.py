"""Who may act as a service account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.gcp.kind import IAM_RULES, GoogleKind, numeric_id
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.rules import Rule, matches

POOL = ".svc.id.goog["


class IAMMember(GoogleKind):
    """A member's role on a service account, which may be of another stack or project. Granting it twice is allowed."""

    title = "role on a service account"
    module = "serviceaccount"
    api = "iam"
    rules: ClassVar[Mapping[str, Rule]] = {
        **IAM_RULES,
        "serviceAccountId": matches(
            r"projects/[a-z0-9-]+/serviceAccounts/[^@]+@[a-z0-9-]+\.iam\.gserviceaccount\.com",
            "the full id of a service account, projects/PROJECT/serviceAccounts/EMAIL",
        ),
    }
    replaces = ("serviceAccountId", "role", "member", "condition")
    autonamed = False
    unique_id = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['serviceAccountId']}/{inputs['role']}/{inputs['member']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        """A project's workload identity pool exists once the project has a cluster."""
        super().check_dependencies(inputs)
        project, pool, _ = inputs["member"].removeprefix("serviceAccount:").partition(POOL)
        clusters = [each.id for each in self.account.records("Cluster")]
        if pool and not any(each.startswith(f"projects/{project}/") for each in clusters):
            raise ApiError(f"400 the identity pool {project}{POOL.rstrip('[')} does not exist")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"etag": "BwY" + numeric_id(9)}
