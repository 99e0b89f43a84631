"""ECR: a repository is a path in the lab's registry, which accepts any login."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER
from lab.plugins.aws.kind import AwsKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

NAME = matches(
    r"(?=.{2,256}$)[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*",
    "2 to 256 lower-case letters, digits, dots, dashes, underscores and slashes, without two separators in a row",
)
COUNTS = frozenset({"imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"})
MAXIMUM_RULES = 50


class Repository(AwsKind):
    """A repository."""

    module = "ecr"
    title = "ECR repository"
    arn = "ecr:repository/{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": NAME,
        "imageTagMutability": one_of("MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"),
        "imageTagMutabilityExclusionFilters.filter": matches(
            r"[0-9a-zA-Z._*-]{1,128}", "1 to 128 letters, digits, dots, dashes, underscores and asterisks"
        ),
        "imageTagMutabilityExclusionFilters.filterType": one_of("WILDCARD"),
        "encryptionConfigurations.encryptionType": one_of("AES256", "KMS", "KMS_DSSE"),
    }
    replaces = ("name", "encryptionConfigurations", "region")
    deleted_with: ClassVar[Mapping[str, str]] = {"LifecyclePolicy": "repository"}

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        url = f"{self.account.lab.registry}/{id}"
        return {**super().create(id, inputs), "registryId": NUMBER, "repositoryUrl": url}

    @override
    def delete(self, record: Record) -> None:
        images = (self.account.lab.repositories / record.id).glob("_manifests/revisions/*/*")
        if any(images) and not record.inputs.get("forceDelete"):
            raise ApiError(
                f"400 RepositoryNotEmptyException: the repository {record.id} in registry {NUMBER} can't be deleted:"
                " it still has images"
            )
        self.discard(record)

    @override
    def discard(self, record: Record) -> None:
        shutil.rmtree(self.account.lab.repositories / record.id, ignore_errors=True)


class LifecyclePolicy(AwsKind):
    """Which images a repository expires. The rules are checked, and nothing expires here."""

    module = "ecr"
    title = "ECR lifecycle policy"
    name_property = "repository"
    unique_name = True
    deleted_first = True  # a repository has one
    unique_id = False
    json_inputs = ("policy",)
    rules: ClassVar[Mapping[str, Rule]] = {"repository": NAME}
    replaces = ("repository", "policy", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"registryId": NUMBER}
    references: ClassVar[Mapping[str, str]] = {"repository": "Repository"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return False: AWS overwrites an existing policy."""
        return False

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        if found := super().invalid(inputs):
            return found
        rules: list[dict[str, Any]] = json.loads(inputs["policy"]).get("rules", [])
        wrong = [] if 1 <= len(rules) <= MAXIMUM_RULES else [f"there are {len(rules)} rules, not 1 to {MAXIMUM_RULES}"]
        priorities = [rule.get("rulePriority") for rule in rules]
        if len(set(priorities)) != len(priorities):
            wrong.append("two rules have the same priority")
        for rule in rules:
            wrong += [f"rule {rule.get('rulePriority')}: {each}" for each in _rule_problems(rule, priorities)]
        return [Failure("policy", f"lifecycle policy validation failure: {each}.") for each in wrong]


def _rule_problems(rule: dict[str, Any], priorities: list[Any]) -> list[str]:
    """Return a rule's errors, by ECR's documentation of lifecycle policy properties."""
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
