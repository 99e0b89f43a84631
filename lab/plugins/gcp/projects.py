"""A project's enabled APIs, service accounts and roles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from typing_extensions import override

from lab.plugins.gcp.kind import IAM_RULES, PREREQUISITES, USABLE_FROM, GoogleKind, numeric_id, require_api
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.rules import Rule, at_most, matches
from lab.plugins.times import timestamp

#: How long an API refuses requests after it was enabled. Google speaks of "a few minutes".
USABLE_AFTER = timedelta(seconds=3)


class Service(GoogleKind):
    """An enabled API. Enabling it twice is allowed.

    Like the official provider (resource_google_project_service.go), a creation enables the API and then asks Resource
    Manager for the project, except if the API was enabled already.
    """

    title = "API"
    module = "projects"
    name_property = "service"
    rules: ClassVar[Mapping[str, Rule]] = {"service": matches(r"[a-z0-9-]+\.googleapis\.com", "NAME.googleapis.com")}
    replaces = ("service", "project")
    autonamed = False
    unique_name = False
    unique_id = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self.project(inputs)}/{inputs['service']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        require_api(self.account, self.project(inputs), "serviceusage")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        api = inputs["service"].partition(".")[0]
        if api not in PREREQUISITES:
            require_api(self.account, self.project(inputs), "cloudresourcemanager")
        return {USABLE_FROM: timestamp(USABLE_AFTER)}


class IAMMember(GoogleKind):
    """A member's role in the project. Granting it twice is allowed."""

    title = "project role"
    module = "projects"
    api = "cloudresourcemanager"
    rules: ClassVar[Mapping[str, Rule]] = IAM_RULES
    replaces = ("project", "role", "member", "condition")
    autonamed = False
    unique_id = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['project']}/{inputs['role']}/{inputs['member']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        kind, _, email = inputs["member"].partition(":")
        accounts = [each.outputs.get("email") for each in self.account.records("Account")]
        ours = email.endswith(".iam.gserviceaccount.com")
        if kind == "serviceAccount" and ours and email not in accounts:
            raise ApiError(f"400 the service account {email} does not exist")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"etag": "BwY" + numeric_id(9)}


class Account(GoogleKind):
    """A service account."""

    title = "service account"
    module = "serviceaccount"
    api = "iam"
    name_property = "accountId"
    rules: ClassVar[Mapping[str, Rule]] = {
        "accountId": matches(
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            "6 to 30 lower-case letters, digits and dashes, starting with a letter, not ending with a dash",
        ),
        "displayName": at_most(100),
        "description": at_most(256),
    }
    replaces = ("accountId", "project")

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/serviceAccounts/{self._email(inputs)}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        email = self._email(inputs)
        return {"email": email, "member": f"serviceAccount:{email}", "name": id, "uniqueId": numeric_id(21)}

    def _email(self, inputs: Properties) -> str:
        return f"{inputs['accountId']}@{self.project(inputs)}.iam.gserviceaccount.com"
