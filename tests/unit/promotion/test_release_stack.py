"""Release stacks: their names, their stack files, and which are refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from contract.project import PROJECT_ROOT
from contract.settings import DNS_LABEL
from promotion.cli import main
from promotion.errors import WRONG_USE, CommandError
from promotion.state.release_stack_file import (
    check_name,
    check_same_place,
    check_temporary,
    expiry,
    has_expired,
    namespace_of,
    release_stack_file,
)
from promotion.state.stack_file import StackFile
from stacks.parsing import parse

IMAGE = "registry.example/addressbook@sha256:" + "a" * 64
PLATFORM = """# The platform.
config:
  aws:profile: ours
  addressbook:cloud: aws
  addressbook:kubernetesVersion: "1.34"
  addressbook:namespace: shop
  addressbook:service: shop
  addressbook:stableImage: REGISTRY
  addressbook:canaryReplicas: "2"
  addressbook:secretEnvironment:
    TOKEN:
      secure: v1:abc
"""


def stack_file(folder: Path, name: str, text: str) -> StackFile:
    (folder / f"Pulumi.{name}.yaml").write_text(text)
    return StackFile(folder / f"Pulumi.{name}.yaml")


def test_a_namespace_has_the_platforms_and_the_stacks_name():
    assert namespace_of("feature-x", "addressbook") == "addressbook-feature-x"


@pytest.mark.parametrize("name", ["Feature_X", "feature.x", "feature-", "f" * 100, "9-lives", "x" * 28])
def test_every_stack_name_gives_a_valid_namespace(name: str):
    assert re.match(DNS_LABEL, namespace_of(name, "addressbook"))


def test_different_names_get_different_namespaces():
    alike = ["feature-x", "Feature-X", "feature.x", "feature_x", "feature-x-", *(f"{'f' * 60}{n}" for n in range(9))]
    assert len({namespace_of(name, "addressbook") for name in alike}) == len(alike)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "prod-gcp", "prod-aws"])
def test_the_file_is_valid_beside_each_of_the_projects_own(stack: str):
    created = release_stack_file("feature-x", StackFile.of(stack), IMAGE)
    values = StackFile.of(stack).values(created.text)
    cloud = import_module(f"stacks.{values['cloud']}")
    # Without the clouds' credentials and commands.
    keys = type("Keys", (cloud.ReleaseStackKeys,), {"missing_prerequisites": classmethod(lambda _: [])})
    settings = parse(values, keys)
    assert settings.stack.platform_stack == ("prod" if stack == "staging" else stack)
    assert settings.stack.namespace == created.namespace
    assert settings.release.stable_image == IMAGE
    assert getattr(settings.platform, "deletion_protection", False) is False
    assert created.omitted == ()


def test_service_and_encryption_come_from_the_platforms_file(tmp_path: Path):
    encryption = "secretsprovider: awskms://alias/ours\nencryptedkey: abc\n"
    created = release_stack_file("feature-x", stack_file(tmp_path, "shop", PLATFORM + encryption))
    document = yaml.safe_load(created.text)
    assert document == {
        "config": {
            "addressbook:cloud": "aws",
            "addressbook:platformStack": "shop",
            "addressbook:namespace": "shop-feature-x",
            "addressbook:deletionProtection": "false",
            "addressbook:stableReplicas": "1",
            "aws:profile": "ours",
            "addressbook:service": "shop",
            "addressbook:secretEnvironment": {"TOKEN": {"secure": "v1:abc"}},
        },
        "secretsprovider": "awskms://alias/ours",
        "encryptedkey": "abc",
    }
    assert created.secrets_provider == "awskms://alias/ours"


def test_undecryptable_secrets_are_omitted(tmp_path: Path):
    created = release_stack_file("feature-x", stack_file(tmp_path, "shop", PLATFORM))
    assert created.omitted == ("addressbook:secretEnvironment",)
    assert "v1:abc" not in created.text


def test_an_update_keeps_what_only_the_stack_itself_has(tmp_path: Path):
    """Secrets that the user was told to set, the key that encrypts them, and the end."""
    platform = stack_file(tmp_path, "shop", PLATFORM)
    created = release_stack_file("feature-x", platform, IMAGE, expiry(NOW))
    own = "  addressbook:secretEnvironment:\n    TOKEN:\n      secure: v1:own\n  addressbook:memoryLimit: 1Gi\n"
    existing = stack_file(tmp_path, "feature-x", f"{created.text}{own}encryptionsalt: v1:salt\n")
    updated = release_stack_file("feature-x", platform, existing=existing)
    document = yaml.safe_load(updated.text)
    assert document["config"]["addressbook:secretEnvironment"] == {"TOKEN": {"secure": "v1:own"}}
    assert document["encryptionsalt"] == "v1:salt"
    assert document["config"]["addressbook:expires"] == expiry(NOW)
    assert {"addressbook:memoryLimit", "addressbook:stableImage"}.isdisjoint(document["config"])
    assert updated.omitted == ()
    later = release_stack_file("feature-x", platform, expires="2027-01-01T00:00Z", existing=existing)
    assert yaml.safe_load(later.text)["config"]["addressbook:expires"] == "2027-01-01T00:00Z"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("feature/x", "1 to 100 letters"),
        ("-x", "1 to 100 letters"),
        ("dev", "Pulumi.dev.yaml already exists"),
        ("prod-hotfix", "the policies protect `prod-*` as production"),
    ],
)
def test_invalid_names_are_refused(name: str, why: str, capsys: pytest.CaptureFixture[str]):
    files = sorted(PROJECT_ROOT.glob("Pulumi.*"))
    assert main(["stack", f"--name={name}", "--platform", "dev"]) == WRONG_USE
    stderr = capsys.readouterr().err
    assert why in stderr
    assert len(stderr.splitlines()) == 1
    assert sorted(PROJECT_ROOT.glob("Pulumi.*")) == files


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["stack", "--name", "feature-x", "--platform", "nowhere"], "there is no Pulumi.nowhere.yaml"),
        (["stack", "--name", "feature-x", "--image", "shop:latest"], "write REPOSITORY@sha256:DIGEST"),
        (["unstack", "--name", "dev", "--expired"], "not allowed with argument --name"),
        (["unstack"], "one of the arguments --name --expired is required"),
        (["unstack", "--name", "dev"], "stack `dev` is not a release stack"),
        (["unstack", "--name", "staging"], "stack `staging` is protected from deletion"),
    ],
)
def test_wrong_use_says_why_and_does_nothing(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]):
    files = sorted(PROJECT_ROOT.glob("Pulumi.*"))
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == WRONG_USE
    stderr = capsys.readouterr().err
    assert why in stderr.splitlines()[-1]
    assert sorted(PROJECT_ROOT.glob("Pulumi.*")) == files


NOW = datetime(2026, 12, 3, 15, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expires", "platform", "expired"),
    [
        ("2026-12-03T14:59Z", "prod", True),
        ("2026-12-03T15:00Z", "prod", True),
        ("2026-12-03T15:01Z", "prod", False),
        ("2027-01-01T00:00Z", "prod", False),
        ("", "prod", False),
        ("2026-12-03T14:59Z", "", False),
    ],
)
def test_only_release_stacks_expire(expires: str, platform: str, expired: bool):
    assert has_expired({"expires": expires, "platformStack": platform}, NOW) is expired


def test_the_end_is_in_the_stack_file():
    created = release_stack_file("pr-7", StackFile.of("dev"), IMAGE, expiry(NOW))
    assert StackFile.of("dev").values(created.text)["expires"] == "2026-12-03T15:00Z"


def test_a_stack_in_another_place_is_not_updated(tmp_path: Path):
    created = release_stack_file("pr-7", StackFile.of("dev"))
    check_same_place(stack_file(tmp_path, "pr-7", created.text), created)
    for wanted in (created.namespace, "platformStack: dev"):
        elsewhere = stack_file(tmp_path, "pr-7", created.text.replace(wanted, f"{wanted}-2"))
        with pytest.raises(CommandError, match="destroy it first with `python -m promotion unstack --name pr-7`"):
            check_same_place(elsewhere, created)


def test_a_temporary_stack_is_not_refused(tmp_path: Path):
    created = release_stack_file("feature-x", stack_file(tmp_path, "shop", PLATFORM))
    check_temporary("feature-x", stack_file(tmp_path, "feature-x", created.text))
    with pytest.raises(CommandError, match="already"):
        check_name("feature-x", tmp_path)
