"""Check that a repository on GitHub has what the workflows need: variables, secrets, environments and rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.github import GitHub
from pipeline.touched import IN_USE, Stack, environments, stacks_in_use, touched

#: The check of a pull request that stands for all of its jobs.
REQUIRED = "required"
GUIDE = "docs/how-to/ci.md"
#: GitHub shows rulesets to everybody, and classic branch protection to administrators only.
RULESET = "add a ruleset (classic branch protection is not read)"
GOOGLE = ("variable GOOGLE_PROVIDER", "variable GOOGLE_SERVICE_ACCOUNT")
AWS = ("variable AWS_ROLE", "variable AWS_REGION")
#: What a job needs to log in to a stack's cloud, and to the key service that encrypts its secrets.
CLOUD_LOGINS: Mapping[str, tuple[str, ...]] = {
    "digitalocean": ("secret DIGITALOCEAN_ACCESS_TOKEN",),
    "gcp": GOOGLE,
    "aws": AWS,
}
KEY_LOGINS: Mapping[str, tuple[str, ...]] = {
    "awskms": AWS,
    "gcpkms": GOOGLE,
    "passphrase": ("secret PULUMI_CONFIG_PASSPHRASE",),
}


@dataclass(frozen=True)
class Check:
    """One thing that the workflows need; ``remedy`` is "" if it is there."""

    what: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is there."""
        return not self.remedy


@dataclass(frozen=True)
class Scope:
    """Variables with their values, and names of secrets, that a job sees."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: frozenset[str] = frozenset()

    def has(self, need: str) -> bool:
        """Whether ``variable NAME`` or ``secret NAME`` is set."""
        kind, _, name = need.partition(" ")
        return name in (self.variables if kind == "variable" else self.secrets)

    def within(self, outer: Scope) -> Scope:
        """Return this scope with what it inherits."""
        return Scope({**outer.variables, **self.variables}, self.secrets | outer.secrets)


def _scope(hub: GitHub, path: str) -> Scope:
    """Return the variables and secrets at this path, at most 100 of each."""
    variables, secrets = (_list(hub, path, kind) for kind in ("variables", "secrets"))
    return Scope(
        {str(each["name"]): str(each["value"]) for each in variables},
        frozenset(str(each["name"]) for each in secrets),
    )


def _list(hub: GitHub, path: str, kind: str) -> list[dict[str, Any]]:
    answer = hub.get(f"{path}{kind}?per_page=100")
    return answer[kind] if answer else []


def doctor(root: Path) -> list[Check]:
    """Run all checks. Raises UsageError without `gh` or a valid list of stacks, StepError if GitHub refuses."""
    used = stacks_in_use(root)
    # Every stack in use, with its cloud.
    stacks = {each.stack: each for each in touched(["Pulumi.yaml"], root).stacks}
    hub = GitHub(root)
    repository = _scope(hub, "actions/").within(_scope(hub, "actions/organization-"))
    checks = [*_repository(hub, repository)]
    for name, stack in stacks.items():
        for environment in (name, f"preview-{name}"):
            reviewed = environment in used.production
            checks += _environment(hub, environment, stack, repository, root, reviewed=reviewed)
    if shared := environments(root):
        checks += _environment(hub, f"pull-request-{shared.stack}", shared, repository, root, reviewed=False)
    if not stacks:
        checks.append(Check("stacks in use", f"none: name them in {IN_USE}, or CI only tests and builds"))
    return checks


def _repository(hub: GitHub, scope: Scope) -> Iterator[Check]:
    yield _check(scope.has("variable REGISTRY"), "variable REGISTRY", "set it, or CI pushes no image")
    if scope.variables.get("SIGNING_KEY", "").startswith("env:"):
        need = "secret COSIGN_PRIVATE_KEY"
        yield _check(scope.has(need), need, "set it to the content of cosign.key, or CI cannot sign images")
    rights = cast(dict[str, Any], hub.get("actions/permissions/workflow") or {})
    yield _check(
        bool(rights.get("can_approve_pull_request_reviews")),
        "Actions may create pull requests",
        "allow it in Settings, Actions, General",
    )
    rules = cast(list[dict[str, Any]], hub.get("rules/branches/main") or [])
    kinds = {rule["type"] for rule in rules}
    checks = [
        rule["parameters"]["required_status_checks"] for rule in rules if rule["type"] == "required_status_checks"
    ]
    contexts = {each["context"] for part in checks for each in part}
    yield _check("pull_request" in kinds, "main accepts pull requests only", f"{RULESET} for `main`")
    yield _check(REQUIRED in contexts, f"main requires the check `{REQUIRED}`", f"{RULESET} that requires it")


def _environment(
    hub: GitHub, name: str, stack: Stack, repository: Scope, root: Path, *, reviewed: bool
) -> Iterator[Check]:
    found = hub.get(f"environments/{name}")
    yield _check(found is not None, f"environment {name}", "create it in Settings, Environments")
    if found is None:
        return
    if reviewed:
        kinds = {str(rule["type"]) for rule in found.get("protection_rules", ())}
        yield _check("required_reviewers" in kinds, f"environment {name}: reviewers", "require reviewers")
    scope = _scope(hub, f"environments/{name}/").within(repository)
    for need in _needs(stack, scope, root):
        yield _check(scope.has(need), f"environment {name}: {need}", "set it there or for the repository")


def _needs(stack: Stack, scope: Scope, root: Path) -> list[str]:
    """Return what a job on the stack needs, in the order in which it uses it."""
    backend = scope.variables.get("PULUMI_BACKEND_URL", "")
    needs = ["variable PULUMI_BACKEND_URL", *CLOUD_LOGINS.get(stack.cloud, ())]
    if backend.startswith("https://"):
        needs.append("variable PULUMI_ORGANIZATION")
    elif "endpoint=" in backend:
        needs += ["secret STATE_KEY_ID", "secret STATE_KEY"]
    elif backend:
        needs += {"s3": AWS, "gs": GOOGLE}.get(backend.partition(":")[0], ())
    document: Any = yaml.safe_load((root / f"Pulumi.{stack.stack}.yaml").read_text(encoding="utf-8")) or {}
    provider = document.get("secretsprovider") or ("passphrase" if "encryptionsalt" in document else "")
    needs += KEY_LOGINS.get(str(provider).partition(":")[0], ())
    return list(dict.fromkeys(needs))


def _check(ok: bool, what: str, remedy: str) -> Check:
    return Check(what, "" if ok else f"{remedy} ({GUIDE})")
