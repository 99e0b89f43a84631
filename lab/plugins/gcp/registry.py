"""Artifact Registry: a repository is a path in the lab's registry, which needs no login."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.gcp.kind import IAM_RULES, NAME, REGION_PATTERN, GoogleKind, numeric_id
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import milliseconds

LOCATION = matches(REGION_PATTERN + "|us|europe|asia", "a region, such as europe-west3, or us, europe, asia")
DURATION = matches(r"[0-9]+(\.[0-9]{1,9})?s|[0-9]+[dhm]", "a duration, such as 86400s or 30d")


class Repository(GoogleKind):
    """A repository of Docker images; the lab's registry does not protect tags."""

    title = "repository"
    module = "artifactregistry"
    api = "artifactregistry"
    labelled = "labels"
    name_property = "repositoryId"
    rules: ClassVar[Mapping[str, Rule]] = {
        "repositoryId": NAME,
        "location": LOCATION,
        "format": one_of("DOCKER"),
        "vulnerabilityScanningConfig.enablementConfig": one_of("INHERITED", "DISABLED"),
        "cleanupPolicies.action": one_of("DELETE", "KEEP"),
        "cleanupPolicies.condition.tagState": one_of("TAGGED", "UNTAGGED", "ANY"),
        "cleanupPolicies.condition.olderThan": DURATION,
        "cleanupPolicies.condition.newerThan": DURATION,
    }
    required = ("location",)
    not_simulated = ("remoteRepositoryConfig", "virtualRepositoryConfig")
    replaces = ("repositoryId", "location", "format", "mode", "kmsKeyName", "project")
    autonamed = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/repositories/{inputs['repositoryId']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, policy in enumerate(inputs.get("cleanupPolicies") or []):
            path = f"cleanupPolicies[{index}]"
            if policy.get("mostRecentVersions") and policy.get("action") == "DELETE":
                found.append(Failure(f"{path}.mostRecentVersions", "is only allowed with the action KEEP."))
            if bool(policy.get("condition")) == bool(policy.get("mostRecentVersions")):
                found.append(Failure(path, "needs either a condition or mostRecentVersions."))
        return found

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        moment = milliseconds()
        return {
            "createTime": moment,
            "updateTime": moment,
            "name": inputs["repositoryId"],
            "registryUri": f"{self.account.lab.registry}/{self.project(inputs)}/{inputs['repositoryId']}",
        }

    @override
    def discard(self, record: Record) -> None:
        """Remove its images, as the cloud does."""
        _, _, path = str(record.outputs.get("registryUri", "")).partition("/")
        if path:
            shutil.rmtree(self.account.lab.repositories / path, ignore_errors=True)


class RepositoryIamMember(GoogleKind):
    """A member's role on one repository. Granting it twice is allowed."""

    title = "repository role"
    module = "artifactregistry"
    api = "artifactregistry"
    rules: ClassVar[Mapping[str, Rule]] = {**IAM_RULES, "location": LOCATION}
    required = ("location",)
    replaces = ("repository", "location", "role", "member", "condition", "project")
    autonamed = False
    unique_id = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self._repository(inputs)}/{inputs['role']}/{inputs['member']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        if self.account.get("Repository", self._repository(inputs)) is None:
            raise ApiError(f"404 requested entity was not found: {self._repository(inputs)}")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"etag": "BwY" + numeric_id(9)}

    def _repository(self, inputs: Properties) -> str:
        name = inputs["repository"].rpartition("/")[2]
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/repositories/{name}"
