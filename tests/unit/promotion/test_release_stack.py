"""Release stacks by one command: their names, their stack files, and which are refused."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from contract.project import PROJECT_ROOT
from contract.settings import DNS_LABEL
from promotion.cli import main
from promotion.errors import WRONG_USE, CommandError
from promotion.state.release_stack_file import described, namespace_of, refuse_lasting, refuse_name
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


def test_a_namespace_says_whose_it_is():
    assert namespace_of("feature-x", "addressbook") == "addressbook-feature-x"


@pytest.mark.parametrize("name", ["Feature_X", "feature.x", "feature-", "f" * 100, "9-lives", "x" * 28])
def test_any_name_of_a_stack_gives_a_namespace_that_kubernetes_takes(name: str):
    assert re.match(DNS_LABEL, namespace_of(name, "addressbook"))


def test_names_that_differ_get_namespaces_that_differ():
    alike = ["feature-x", "Feature-X", "feature.x", "feature_x", "feature-x-", *(f"{'f' * 60}{n}" for n in range(9))]
    assert len({namespace_of(name, "addressbook") for name in alike}) == len(alike)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "prod-gcp", "prod-aws"])
def test_the_stack_file_is_right_beside_each_of_the_projects_own(stack: str):
    made = described("feature-x", StackFile.of(stack), IMAGE)
    values = StackFile.of(stack).values(made.text)
    cloud = import_module(f"stacks.{values['cloud']}")
    # Credentials and commands of the clouds are not there, and not asked for here.
    keys = type("Keys", (cloud.ReleaseStackKeys,), {"missing_prerequisites": classmethod(lambda _: [])})
    settings = parse(values, keys)
    assert settings.stack.platform_stack == ("prod" if stack == "staging" else stack)
    assert settings.stack.namespace == made.namespace
    assert settings.release.stable_image == IMAGE
    assert getattr(settings.platform, "deletion_protection", False) is False
    assert made.left_out == ()


def test_service_and_encryption_are_the_platforms_and_the_release_is_not(tmp_path: Path):
    encryption = "secretsprovider: awskms://alias/ours\nencryptedkey: abc\n"
    made = described("feature-x", stack_file(tmp_path, "shop", PLATFORM + encryption))
    document = yaml.safe_load(made.text)
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
    assert made.secrets_provider == "awskms://alias/ours"


def test_secrets_that_only_the_platforms_stack_decrypts_are_left_out(tmp_path: Path):
    made = described("feature-x", stack_file(tmp_path, "shop", PLATFORM))
    assert made.left_out == ("addressbook:secretEnvironment",)
    assert "v1:abc" not in made.text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "1 to 100 letters"),
        ("feature/x", "1 to 100 letters"),
        ("-x", "1 to 100 letters"),
        ("dev", "there is a Pulumi.dev.yaml already"),
        ("prod-hotfix", "the policies take `prod-*` for production"),
    ],
)
def test_names_that_can_not_be_are_refused(name: str, why: str, capsys: pytest.CaptureFixture[str]):
    files = sorted(PROJECT_ROOT.glob("Pulumi.*"))
    assert main(["stack", f"--name={name}", "--platform", "dev"]) == WRONG_USE
    said = capsys.readouterr().err
    assert why in said
    assert len(said.splitlines()) == 1
    assert sorted(PROJECT_ROOT.glob("Pulumi.*")) == files


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["stack", "--name", "feature-x", "--platform", "nowhere"], "there is no Pulumi.nowhere.yaml"),
        (["stack", "--name", "feature-x", "--image", "shop:latest"], "write REPOSITORY@sha256:DIGEST"),
        (["unstack", "--name", "nowhere"], "there is no Pulumi.nowhere.yaml"),
        (["unstack", "--name", "dev"], "stack `dev` is no release stack"),
        (["unstack", "--name", "staging"], "stack `staging` is protected from deletion"),
    ],
)
def test_wrong_use_is_one_sentence_and_nothing_is_done(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
):
    files = sorted(PROJECT_ROOT.glob("Pulumi.*"))
    assert main(arguments) == WRONG_USE
    said = capsys.readouterr().err
    assert why in said
    assert len(said.splitlines()) == 1
    assert sorted(PROJECT_ROOT.glob("Pulumi.*")) == files


def test_a_stack_that_may_be_thrown_away_is_not_refused(tmp_path: Path):
    made = described("feature-x", stack_file(tmp_path, "shop", PLATFORM))
    refuse_lasting("feature-x", stack_file(tmp_path, "feature-x", made.text))
    with pytest.raises(CommandError, match="already"):
        refuse_name("feature-x", tmp_path)
