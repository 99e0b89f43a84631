"""Artifact Registry: a repository is a path in the lab's registry, which asks for no login."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import LABEL_OUTPUTS, GoogleKind, now, numeric_id
from lab.plugins.gcp.rules import DELETION_POLICY, LABELS, MEMBER, NAME, PROJECT, REGION_PATTERN, ROLE
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

LOCATION = Property(
    str,
    required=True,
    replaces=True,
    pattern=REGION_PATTERN + "|us|europe|asia",
    rule="a region, such as europe-west3, or us, europe, asia",
)
DURATION = r"[0-9]+(\.[0-9]{1,9})?s|[0-9]+[dhm]"


class Repository(GoogleKind):
    """A repository of Docker images; tags are not protected by the lab's registry."""

    title = "repository"
    module = "artifactregistry"
    api = "artifactregistry"
    labelled = "labels"
    name_property = "repositoryId"
    properties: ClassVar[Mapping[str, Property]] = {
        "repositoryId": Property(str, required=True, replaces=True, pattern=NAME.pattern, rule=NAME.rule),
        "location": LOCATION,
        "format": Property(str, required=True, replaces=True, values=frozenset({"DOCKER"})),
        "description": Property(str),
        "mode": Property(str, replaces=True, values=frozenset({"STANDARD_REPOSITORY"})),
        "kmsKeyName": Property(str, replaces=True),
        "dockerConfig": Property(dict, inner={"immutableTags": Property(bool)}),
        "vulnerabilityScanningConfig": Property(
            dict, inner={"enablementConfig": Property(str, values=frozenset({"INHERITED", "DISABLED"}))}
        ),
        "cleanupPolicies": Property(
            list,
            inner={
                "id": Property(str, required=True),
                "action": Property(str, values=frozenset({"DELETE", "KEEP"})),
                "condition": Property(
                    dict,
                    inner={
                        "tagState": Property(str, values=frozenset({"TAGGED", "UNTAGGED", "ANY"})),
                        "tagPrefixes": Property(list, each=str),
                        "versionNamePrefixes": Property(list, each=str),
                        "packageNamePrefixes": Property(list, each=str),
                        "olderThan": Property(str, pattern=DURATION, rule="a duration, such as 86400s or 30d"),
                        "newerThan": Property(str, pattern=DURATION, rule="a duration, such as 86400s or 30d"),
                    },
                ),
                "mostRecentVersions": Property(
                    dict, inner={"keepCount": Property(int), "packageNamePrefixes": Property(list, each=str)}
                ),
            },
        ),
        "cleanupPolicyDryRun": Property(bool),
        "labels": LABELS,
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("createTime", "name", "project", "registryUri", "updateTime", *LABEL_OUTPUTS)
    secret = frozenset(LABEL_OUTPUTS)
    autonamed = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/repositories/{inputs['repositoryId']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, policy in enumerate(inputs.get("cleanupPolicies") or []):
            if policy.get("mostRecentVersions") and policy.get("action") == "DELETE":
                found.append(Failure(f"cleanupPolicies[{index}].mostRecentVersions", "goes with the action KEEP only."))
            if bool(policy.get("condition")) == bool(policy.get("mostRecentVersions")):
                found.append(Failure(f"cleanupPolicies[{index}]", "needs either a condition or mostRecentVersions."))
        return found

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        moment = now()
        return {
            "createTime": moment,
            "updateTime": moment,
            "name": inputs["repositoryId"],
            "project": self.project(inputs),
            "registryUri": f"{self.account.lab.registry}/{self._path(inputs)}",
        }

    def _path(self, inputs: Properties) -> str:
        return f"{self.project(inputs)}/{inputs['repositoryId']}"

    @override
    def unmake(self, record: Record) -> None:
        """The images go with it, as they do in the cloud."""
        super().unmake(record)
        shutil.rmtree(self.account.lab.repositories / self._path(record.inputs), ignore_errors=True)


class RepositoryIamMember(GoogleKind):
    """A role for somebody on one repository; giving it twice is no fault."""

    title = "repository role"
    module = "artifactregistry"
    api = "artifactregistry"
    properties: ClassVar[Mapping[str, Property]] = {
        "repository": Property(str, required=True, replaces=True),
        "location": LOCATION,
        "role": ROLE,
        "member": MEMBER,
        "project": PROJECT,
    }
    computed = ("etag", "project")
    autonamed = False
    unique_id = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{self._repository(inputs)}/{inputs['role']}/{inputs['member']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        if self.account.get("Repository", self._repository(inputs)) is None:
            raise Refused(f"404 requested entity was not found: {self._repository(inputs)}")
        return {"etag": "BwY" + numeric_id(9), "project": self.project(inputs)}

    def _repository(self, inputs: Properties) -> str:
        name = inputs["repository"].rpartition("/")[2]
        return f"projects/{self.project(inputs)}/locations/{inputs['location']}/repositories/{name}"
