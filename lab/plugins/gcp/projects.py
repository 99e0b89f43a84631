"""Enabled APIs, service accounts and roles: what a project has beside its resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.declared import Property
from lab.plugins.gcp.kind import GoogleKind, numeric_id
from lab.plugins.gcp.rules import DELETION_POLICY, MEMBER, PROJECT, ROLE
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties


class Service(GoogleKind):
    """An enabled API; enabling one that is enabled already is no fault."""

    title = "API"
    module = "projects"
    name_property = "service"
    properties: ClassVar[Mapping[str, Property]] = {
        "service": Property(
            str, required=True, replaces=True, pattern=r"[a-z0-9-]+\.googleapis\.com", rule="NAME.googleapis.com"
        ),
        "project": PROJECT,
        "disableOnDestroy": Property(bool),
        "disableDependentServices": Property(bool),
        "checkIfServiceHasUsageOnDestroy": Property(bool),
        "deletionPolicy": DELETION_POLICY,
    }  # fmt: skip
    autonamed = False
    unique_name = False
    unique_id = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{self.project(inputs)}/{inputs['service']}"

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {"project": self.project(inputs)}


class IAMMember(GoogleKind):
    """A role for somebody in the project; giving it twice is no fault."""

    title = "project role"
    module = "projects"
    api = "cloudresourcemanager"
    properties: ClassVar[Mapping[str, Property]] = {
        "project": Property(str, required=True, replaces=True, pattern=PROJECT.pattern, rule=PROJECT.rule),
        "role": ROLE,
        "member": MEMBER,
        "condition": Property(
            dict,
            replaces=True,
            inner={
                "title": Property(str, required=True),
                "expression": Property(str, required=True),
                "description": Property(str),
            },
        ),
    }
    computed = ("etag",)
    autonamed = False
    unique_id = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['project']}/{inputs['role']}/{inputs['member']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        self._known(inputs["member"])
        return {"etag": "BwY" + numeric_id(9)}

    def _known(self, member: str) -> None:
        kind, _, email = member.partition(":")
        accounts = [each.outputs.get("email") for each in self.account.records() if each.type == "Account"]
        ours = email.endswith(".iam.gserviceaccount.com")
        if kind == "serviceAccount" and ours and email not in accounts:
            raise Refused(f"400 the service account {email} does not exist")


class Account(GoogleKind):
    """A service account."""

    title = "service account"
    module = "serviceaccount"
    api = "iam"
    name_property = "accountId"
    properties: ClassVar[Mapping[str, Property]] = {
        "accountId": Property(
            str,
            replaces=True,
            pattern=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
            rule="6 to 30 lower-case letters, digits and dashes, the first a letter, the last no dash",
        ),
        "displayName": Property(str, pattern=r"(?s).{0,100}", rule="100 characters at most"),
        "description": Property(str, pattern=r"(?s).{0,256}", rule="256 characters at most"),
        "disabled": Property(bool),
        "project": PROJECT,
        "createIgnoreAlreadyExists": Property(bool),
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("email", "member", "name", "uniqueId", "project")

    @override
    def identify(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/serviceAccounts/{self._email(inputs)}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        email = self._email(inputs)
        return {
            "email": email,
            "member": f"serviceAccount:{email}",
            "name": id,
            "uniqueId": numeric_id(21),
            "project": self.project(inputs),
        }

    def _email(self, inputs: Properties) -> str:
        return f"{inputs['accountId']}@{self.project(inputs)}.iam.gserviceaccount.com"
