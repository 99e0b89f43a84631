"""Registries keep what a tag named, and scan what is pushed.

DigitalOcean's registry has neither setting. Artifact Registry can only freeze all tags, those of builds included, which
another machine may build to another digest; the program runs no tag, so they may move there.
"""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policy.rules import Resource, at, check_types, list_at

#: Filters of exceptions that match every tag.
EVERYTHING = frozenset({"*", "**"})


def _ecr_tags(repository: Resource) -> str | None:
    mutability = repository.props.get("imageTagMutability")
    filters = [each.get("filter") for each in list_at(repository.props, "imageTagMutabilityExclusionFilters")]
    if mutability == "IMMUTABLE" or (mutability == "IMMUTABLE_WITH_EXCLUSION" and not EVERYTHING & set(filters)):
        return None
    return "a tag of the repository may be moved to another image: set imageTagMutability to IMMUTABLE"


def _ecr_scans(repository: Resource) -> str | None:
    if at(repository.props, "imageScanningConfiguration", "scanOnPush") is True:
        return None
    return "nothing looks for known vulnerabilities: set imageScanningConfiguration.scanOnPush to true"


def _artifact_registry_scans(repository: Resource) -> str | None:
    if at(repository.props, "vulnerabilityScanningConfig", "enablementConfig") != "DISABLED":
        return None
    return "nothing looks for known vulnerabilities: set vulnerabilityScanningConfig.enablementConfig to INHERITED"


POLICIES = [
    ResourceValidationPolicy(
        name="registries",
        description="Registries have immutable tags and scan what is pushed.",
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=check_types(
            {
                "aws:ecr/repository:Repository": [_ecr_tags, _ecr_scans],
                "gcp:artifactregistry/repository:Repository": [_artifact_registry_scans],
            }
        ),
    ),
]
