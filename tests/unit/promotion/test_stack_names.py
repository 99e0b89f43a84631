"""A stack on Pulumi Cloud is found in whichever organization it is, and never created beside the real one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi import automation

from promotion.errors import WRONG_USE, CommandError
from promotion.state import stack_names

CLOUD = "https://app.pulumi.com/ada"


@pytest.fixture(autouse=True)
def no_backend_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)


def project(*stacks: str, organizations: list[str] | None = None, url: str = CLOUD) -> automation.LocalWorkspace:
    """Return a workspace in which `pulumi whoami --json` and `pulumi stack ls --json` show this."""
    user = SimpleNamespace(user="ada", url=url, organizations=organizations)
    listed = [SimpleNamespace(name=name) for name in stacks]
    return cast(Any, SimpleNamespace(who_am_i=lambda: user, list_stacks=lambda: listed))


@pytest.mark.parametrize(
    ("stacks", "name", "expected"),
    [
        (["acme/prod", "dev"], "prod", "acme/prod"),  # the default organization is another one
        (["prod", "dev"], "prod", "prod"),  # it is in the default organization
        (["acme/prod-gcp"], "prod", "prod"),  # none has that name
        (["acme/prod", "prod"], "acme/prod", "acme/prod"),
        (["acme/prod", "prod"], "ada/addressbook/prod", "ada/addressbook/prod"),
    ],
)
def test_a_stack_is_found_in_its_organization(stacks: list[str], name: str, expected: str):
    assert stack_names.resolve(name, project(*stacks), create=False) == expected


@pytest.mark.parametrize("create", [True, False])
def test_a_name_in_several_organizations_is_refused(create: bool):
    with pytest.raises(CommandError, match=r"acme/prod, prod in the default organization.*--stack acme/prod") as error:
        stack_names.resolve("prod", project("acme/prod", "prod"), create)
    assert error.value.code == WRONG_USE


def test_a_new_stack_needs_an_unambiguous_organization():
    assert stack_names.resolve("prod", project(organizations=["ada"]), create=True) == "prod"
    assert stack_names.resolve("prod", project("acme/prod", organizations=["acme"]), create=True) == "acme/prod"
    with pytest.raises(CommandError, match="could be created in acme or ada: name it in full") as error:
        stack_names.resolve("prod", project("acme/dev", organizations=["ada", "acme"]), create=True)
    assert error.value.code == WRONG_USE


@pytest.mark.parametrize("url", ["file:///state", "file://~", "s3://bucket", "gs://bucket", "azblob://container"])
def test_other_backends_have_one_place(url: str, monkeypatch: pytest.MonkeyPatch):
    backend = project("acme/prod", url=url, organizations=["acme"])
    assert stack_names.resolve("prod", backend, create=True) == "prod"
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    assert stack_names.resolve("prod", cast(Any, None), create=True) == "prod", "the engine is not asked"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("dev", "acme/feature-x"), ("acme/addressbook/dev", "acme/feature-x"), ("new", "feature-x")],
)
def test_a_release_stack_is_beside_its_platform(platform: str, expected: str):
    assert stack_names.beside(platform, "feature-x", project("acme/dev")) == expected
