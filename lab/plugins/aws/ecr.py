"""ECR: a repository is a path in the lab's registry, which takes any login."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, json_faults
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

NAME = r"(?=.{2,256}$)[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*"
NAME_RULE = "2 to 256 lower-case letters, digits, dots, dashes, underscores and slashes, none beside another"
MUTABILITY = frozenset({"MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"})
FILTER = r"[0-9a-zA-Z._*-]{1,128}"
FILTER_RULE = "1 to 128 letters, digits, dots, dashes, underscores and asterisks"
COUNTS = frozenset({"imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"})
MOST_RULES = 50


class Repository(AwsKind):
    """A repository."""

    module = "ecr"
    service = "ecr"
    title = "ECR repository"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, replaces=True, pattern=NAME, rule=NAME_RULE),
        "imageTagMutability": Property(str, values=MUTABILITY),
        "imageTagMutabilityExclusionFilters": Property(
            list,
            inner={
                "filter": Property(str, required=True, pattern=FILTER, rule=FILTER_RULE),
                "filterType": Property(str, required=True, values=frozenset({"WILDCARD"})),
            },
        ),
        "imageScanningConfiguration": Property(dict, inner={"scanOnPush": Property(bool, required=True)}),
        "encryptionConfigurations": Property(
            list,
            replaces=True,
            inner={
                "encryptionType": Property(str, values=frozenset({"AES256", "KMS", "KMS_DSSE"})),
                "kmsKey": Property(str),
            },
        ),
        "forceDelete": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "registryId", "repositoryUrl")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {
            "arn": self.arn(inputs, f"repository/{id}"),
            "registryId": NUMBER,
            "repositoryUrl": f"{self.account.lab.registry}/{id}",
        }

    @override
    def unmake(self, record: Record) -> None:
        folder = self.account.lab.repositories / record.id
        if any(folder.glob("_manifests/revisions/*/*")) and not record.inputs.get("forceDelete"):
            raise Refused(
                f"400 RepositoryNotEmptyException: the repository {record.id} in registry {NUMBER} can't be deleted:"
                " it still has images"
            )
        shutil.rmtree(folder, ignore_errors=True)
        self.account.remove("LifecyclePolicy", record.id)


class LifecyclePolicy(AwsKind):
    """Which images a repository gives up. Nothing is given up here; the rules are checked."""

    module = "ecr"
    service = "ecr"
    title = "ECR lifecycle policy"
    name_property = "repository"
    unique_name = True  # so one that changes goes before the next one comes: a repository has one
    unique_id = False
    properties: ClassVar[Mapping[str, Property]] = {
        "repository": Property(str, required=True, replaces=True, pattern=NAME, rule=NAME_RULE),
        "policy": Property(str, required=True, replaces=True),
        "region": REGION,
    }
    computed = ("registryId",)

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        """Another one is written over."""
        return False

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = json_faults(inputs, "policy")
        if found:
            return found
        rules: list[dict[str, Any]] = json.loads(inputs["policy"]).get("rules", [])
        wrong = [] if 1 <= len(rules) <= MOST_RULES else [f"there are {len(rules)} rules, not 1 to {MOST_RULES}"]
        priorities = [rule.get("rulePriority") for rule in rules]
        if len(set(priorities)) != len(priorities):
            wrong.append("two rules have the same priority")
        for rule in rules:
            wrong += [f"rule {rule.get('rulePriority')}: {each}" for each in _rule_faults(rule, priorities)]
        return [Failure("policy", f"lifecycle policy validation failure: {each}.") for each in wrong]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("Repository", inputs["repository"])
        return {"registryId": NUMBER}


def _rule_faults(rule: dict[str, Any], priorities: list[Any]) -> list[str]:
    """What ECR's documentation of lifecycle policy properties says of one rule."""
    found: list[str] = []
    selection: dict[str, Any] = rule.get("selection") or {}
    listed = bool(selection.get("tagPrefixList") or selection.get("tagPatternList"))
    status, count = selection.get("tagStatus"), selection.get("countType")
    if not isinstance(rule.get("rulePriority"), int):
        found.append("rulePriority is required, a whole number")
    if status not in ("tagged", "untagged", "any"):
        found.append("tagStatus must be tagged, untagged or any")
    if listed != (status == "tagged"):
        found.append("tagPrefixList or tagPatternList must be given for tagStatus tagged, and for no other")
    if status == "any" and rule.get("rulePriority") != max(priorities):
        found.append("tagStatus any must have the highest priority number")
    if count not in COUNTS or not isinstance(selection.get("countNumber"), int):
        found.append(f"countType must be one of {', '.join(sorted(COUNTS))}, countNumber a whole number")
    if (count == "imageCountMoreThan") == ("countUnit" in selection):
        found.append("countUnit must be given for the since… counts, and for no other")
    if (rule.get("action") or {}).get("type") not in ("expire", "transition"):
        found.append("the action's type must be expire or transition")
    return found
