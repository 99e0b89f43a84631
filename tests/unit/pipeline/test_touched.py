"""Which stacks a change is worth a preview of."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from contract.project import PROJECT_ROOT
from pipeline.cli import main
from pipeline.errors import UsageError
from pipeline.touched import IN_USE, Stack, changed_files, stacks_in_use, touched

ALL = ("prod", "prod-aws", "prod-gcp")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for stack, cloud in {"dev": "local", "prod": "digitalocean", "prod-gcp": "gcp", "prod-aws": "aws"}.items():
        prefix = "" if stack == "prod-gcp" else "addressbook:"  # both are legal
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(f"config:\n  {prefix}cloud: {cloud}\n")
    in_use(tmp_path, f"staging: []\nproduction: [{', '.join(ALL)}]\n")
    return tmp_path


def in_use(root: Path, text: str) -> None:
    (root / IN_USE).parent.mkdir(exist_ok=True)
    (root / IN_USE).write_text(text)


@pytest.mark.parametrize(
    ("file", "stacks", "image"),
    [
        ("Pulumi.prod-gcp.yaml", ("prod-gcp",), False),
        ("Pulumi.dev.yaml", (), False),
        ("Pulumi.yaml", ALL, False),
        ("__main__.py", ALL, False),
        ("requirements.txt", ALL, False),
        ("components/release.py", ALL, False),
        ("components/aws/network.py", ("prod-aws",), False),
        ("components/local/cluster.py", (), False),
        ("stacks/digitalocean.py", ("prod",), False),
        ("contract/settings.py", ALL, False),
        ("policy/pods.py", ALL, False),
        ("app/addressbook/api.py", (), True),
        ("docs/explanation/ordering.md", (), False),
        ("README.md", (), False),
    ],
)
def test_files_affect_their_stacks(root: Path, file: str, stacks: tuple[str, ...], image: bool):
    affected = touched([file], root)
    assert (tuple(each.stack for each in affected.stacks), affected.image) == (stacks, image)


@pytest.mark.parametrize(
    ("file", "dependencies"),
    [
        ("requirements.in", True),
        ("requirements-dev.txt", True),
        ("app/requirements-test.txt", True),
        (".github/workflows/main.yaml", True),
        (".github/tools", True),
        ("app/addressbook/api.py", False),
        ("docs/requirements.md", False),
    ],
)
def test_changed_dependencies_are_scanned(root: Path, file: str, dependencies: bool):
    assert touched([file], root).dependencies is dependencies


def test_stacks_that_are_not_in_use_are_skipped(root: Path):
    in_use(root, "staging: [prod-gcp]\nproduction:\n")
    affected = touched(["Pulumi.yaml"], root)
    assert affected.stacks == affected.staging == (Stack("prod-gcp", "gcp", platform=True),)
    assert affected.skipped == ("dev", "prod", "prod-aws")
    (root / "Pulumi.prod-aws.yaml").unlink()
    assert touched(["Pulumi.prod-aws.yaml"], root).stacks == (), "a deleted stack"


def test_a_new_image_goes_to_staging_and_is_offered(root: Path):
    in_use(root, "staging: [prod-gcp]\nproduction: [prod, prod-aws]\n")
    affected = touched(["app/addressbook/api.py"], root)
    assert [each.stack for each in affected.staging] == ["prod-gcp"]
    assert [each.stack for each in affected.offered] == ["prod", "prod-aws"]
    assert (affected.stacks, affected.production) == ((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("staging: [gone]", "there is no Pulumi.gone.yaml; remove `gone` or create the stack"),
        ("staging: prod", "write `staging:` and `production:`, each with a list of stacks"),
        ("[prod]", "write `staging:` and `production:`, each with a list of stacks"),
        ("stages: [prod]", "unknown key `stages`"),
        (": [", "write `staging:` and `production:`, each with a list of stacks"),
    ],
)
def test_wrong_list_of_stacks_is_explained(root: Path, text: str, message: str):
    in_use(root, text)
    with pytest.raises(UsageError, match=f"^{re.escape(str(IN_USE))}: .*{re.escape(message)}"):
        stacks_in_use(root)


def test_branch_is_compared_with_its_merge_base(root: Path):
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "-m", "begin")
    git("switch", "-c", "branch")
    (root / "Pulumi.prod.yaml").write_text("config: {}\n")
    git("commit", "-am", "change")
    git("switch", "main")
    (root / "elsewhere").write_text("later on main\n")
    git("add", ".")
    git("commit", "-m", "go on")
    git("switch", "branch")
    assert changed_files("main", root) == ["Pulumi.prod.yaml"]
    with pytest.raises(UsageError, match="--base nowhere"):
        changed_files("nowhere", root)
    everything = changed_files("0" * 40, root)
    assert {"Pulumi.prod.yaml", "Pulumi.dev.yaml"} <= set(everything), "the first push of a branch"


@pytest.mark.parametrize(
    ("config", "platform"),
    [
        ("  addressbook:cloud: digitalocean\n  addressbook:canaryImage: registry.example/x\n", False),
        ("  addressbook:cloud: digitalocean\n  memoryLimit: 512Mi\n", False),
        ("  addressbook:cloud: digitalocean\n  addressbook:nodeCount: 9\n", True),
        ("  addressbook:cloud: digitalocean\n  addressbook:memoryLimit: 1Gi\n  aws:region: x\n", True),
    ],
)
def test_a_change_of_the_platform_is_told_from_the_releases(root: Path, config: str, platform: bool):
    subprocess.run(["git", "-C", str(root), "init", "-q", "--initial-branch=main"], check=True)
    subprocess.run(["git", "-C", str(root), "add", "."], check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", "-C", str(root), *identity, "commit", "-qm", "begin"], check=True)
    (root / "Pulumi.prod.yaml").write_text(f"config:\n{config}")
    (stack,) = touched(["Pulumi.prod.yaml"], root, "main").stacks
    assert stack.platform is platform
    assert touched(["components/aws/network.py"], root, "main").stacks[0].platform, "the program may change anything"


def test_no_stack_of_a_new_repository_is_in_use():
    affected = touched(["Pulumi.yaml"], PROJECT_ROOT)
    assert affected.stacks == ()
    assert set(ALL) <= set(affected.skipped)


def test_unknown_base_exits_with_2(capsys: pytest.CaptureFixture[str]):
    assert main(["touched", "--base", "no-such-branch"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --base no-such-branch")
    assert "Traceback" not in error
    assert main(["image", "--repository", "localhost:1/x", "--context", "docs"]) == 2
    assert "no Dockerfile in that folder" in capsys.readouterr().err


def test_stacks_in_use_say_which_are_staging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("staging", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {cloud: gcp}\n")
    (tmp_path / IN_USE).parent.mkdir()
    (tmp_path / IN_USE).write_text("staging: [staging]\nproduction: [prod]\n")
    monkeypatch.setattr("pipeline.cli.PROJECT_ROOT", tmp_path)
    assert main(["stacks"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["stack"] for each in answer["stacks"]] == ["staging", "prod"]
    assert answer["staging"] == ["staging"]
