"""The workflow files are valid, pinned, least-privileged and thin: they run this project's own commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline.cli
import promotion.cli
from lab import toolchain
from lab.layout import Lab
from pipeline.environment import LABEL

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
SCRIPTS = sorted(file for file in (ROOT / ".github").glob("[a-z]*") if file.is_file() and not file.suffix)
#: What changes a stack.
CHANGE = re.compile(r"promotion (up|rollback|unstack)|github/(apply|judge|stage|environment) ")
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yaml"))
SEMAPHORE = sorted((ROOT / ".semaphore").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
#: An argument that is another command's output.
ARGUMENT = re.compile(r'"\$\([^()]*\)"')
COMMAND = re.compile(r"python -m (promotion|pipeline) ([a-z]+)((?: [^\n|)]*)?)")


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in [*WORKFLOWS, *ACTIONS]:
        document = yaml.safe_load(file.read_text())
        jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
        for job in jobs:
            for step in job.get("steps", []):
                yield file.name, step


def scripts() -> Iterator[str]:
    yield from (step["run"] for _, step in steps() if "run" in step)
    for file in SEMAPHORE:
        yield "\n".join(semaphore_commands(yaml.safe_load(file.read_text())))


def semaphore_commands(part: Any) -> Iterator[str]:
    """Return every command of a pipeline, at any depth."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from value if key == "commands" else semaphore_commands(value)
    elif isinstance(part, list):
        for each in part:
            yield from semaphore_commands(each)
    yield from (path.read_text() for path in SCRIPTS)


def test_actionlint_finds_nothing():
    lab = Lab.from_environment()
    toolchain.ensure(lab, toolchain.ACTIONLINT)
    actionlint = toolchain.ACTIONLINT.binaries(lab) / "actionlint"
    done = subprocess.run([actionlint, *WORKFLOWS], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(WORKFLOWS) >= 4


def test_zizmor_finds_nothing():
    zizmor = Path(sys.executable).with_name("zizmor")
    options = ["--offline", "--config", ".github/zizmor.yml", "--min-severity", "low", ".github"]
    done = subprocess.run([zizmor, *options], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_by_commit():
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    assert [each for each in used if not each.startswith("./") and not PINNED.match(each)] == []


def test_permissions_are_granted_per_job():
    for file in WORKFLOWS:
        document = yaml.safe_load(file.read_text())
        assert document["permissions"] == {}, file.name
        assert all("permissions" in job for job in document["jobs"].values()), file.name
        assert all(job["timeout-minutes"] for job in document["jobs"].values()), file.name


def test_runs_of_one_stack_are_queued():
    for file in WORKFLOWS:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            changes = [step for step in job["steps"] if CHANGE.search(step.get("run", ""))]
            if changes:
                assert job["concurrency"]["group"].startswith("stack-"), (file.name, name)
                assert not job["concurrency"].get("cancel-in-progress"), "a cancelled run leaves an unfinished update"
                assert job["concurrency"]["queue"] == "max", "GitHub drops all waiting runs but one otherwise"


def test_only_labelled_pull_requests_get_an_environment():
    jobs = yaml.safe_load((ROOT / ".github/workflows/environment.yaml").read_text())["jobs"]
    assert f"labels.*.name, '{LABEL}')" in jobs["decide"]["if"]
    assert f"label.name == '{LABEL}'" in jobs["decide"]["if"]
    assert "head.repo.full_name == github.repository" in jobs["decide"]["if"], "a fork has no environment"
    for name in ("decide", "comment"):  # what may write to the pull request is not the pull request's own code
        checkout, *_ = jobs[name]["steps"]
        assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.ref }}", name


def test_two_jobs_never_edit_one_comment_at_once():
    preview = yaml.safe_load((ROOT / ".github/workflows/pull-request.yaml").read_text())["jobs"]["preview"]
    comment = yaml.safe_load((ROOT / ".github/workflows/environment.yaml").read_text())["jobs"]["comment"]
    groups = {
        re.sub(r"(matrix\.stack|needs\.decide\.outputs\.platform)", "STACK", job["concurrency"]["group"])
        for job in (preview, comment)
    }
    assert len(groups) == 1
    assert {job["concurrency"]["queue"] for job in (preview, comment)} == {"max"}


def test_secrets_reach_only_the_steps_that_need_them():
    for file in WORKFLOWS:
        document = yaml.safe_load(file.read_text())
        for part in (document, *document["jobs"].values()):
            assert "secrets." not in str(part.get("env", {})), file.name


def test_one_check_stands_for_all_of_a_pull_request():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "pull-request.yaml").read_text())["jobs"]
    assert set(jobs["required"]["needs"]) == jobs.keys() - {"required"}
    (step,) = jobs["required"]["steps"]
    for results, code in ((("success", "skipped"), 0), (("success", "failure"), 1), (("cancelled", "success"), 1)):
        needs = {str(number): {"result": result} for number, result in enumerate(results)}
        environment = {**os.environ, "NEEDS": json.dumps(needs)}
        done = subprocess.run(["bash", "-c", step["run"]], env=environment, capture_output=True)
        assert done.returncode == code, results


def test_platform_changes_have_hours_and_credentials():
    production = yaml.safe_load((ROOT / ".github/workflows/production.yaml").read_text())["jobs"]["apply"]
    staging = yaml.safe_load((ROOT / ".github/workflows/main.yaml").read_text())["jobs"]["staging"]
    for job, minutes, seconds in (
        (production, r"matrix\.platform && (\d+)", r"matrix\.platform && '(\d+)'"),
        (staging, r"(\d+)", r"(\d+)"),
    ):
        (login,) = [step["with"] for step in job["steps"] if step.get("uses", "").endswith("/login")]
        timeout, session = (
            re.search(minutes, str(job["timeout-minutes"])),
            re.search(seconds, login["aws-session-seconds"]),
        )
        assert timeout and session
        assert int(session[1]) >= int(timeout[1]) * 60 >= 2 * 3600, "a node roll or a database upgrade takes hours"
        assert "vars.AWS_PLATFORM_ROLE" in login["aws-role"]


def test_shell_scripts_parse():
    for script in SCRIPTS:
        assert os.access(script, os.X_OK), script
        subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["bash", "-n", ROOT / ".semaphore" / "setup"], check=True)


def test_workflow_commands_exist_and_take_their_arguments(capsys: pytest.CaptureFixture[str]):
    """Parse each command for real; a final `--help` keeps it from running."""
    commands = {match.groups() for script in scripts() for match in COMMAND.finditer(ARGUMENT.sub('"x"', script))}
    assert {"up", "preview", "verdict", "rollback", "promote", "canary", "image", "touched"} <= (
        {name for _, name, _ in commands} | make_targets()
    )
    for module, name, arguments in sorted(commands):
        words = [
            re.sub(r"\$\{?\w+\}?", "1", word) for word in shlex.split(arguments.partition(" || ")[0], comments=True)
        ]
        main = {"promotion": promotion.cli.main, "pipeline": pipeline.cli.main}[module]
        with pytest.raises(SystemExit) as ended:
            main([name, *words, "--help"])
        assert ended.value.code == 0, (module, name, words, capsys.readouterr().err)


def make_targets() -> set[str]:
    """Return the make targets that the files use."""
    return {
        match[1] for script in scripts() for match in re.finditer(r"\bmake (?:--silent )?(?P<target>[a-z]+)", script)
    }


def test_semaphore_promotions_name_existing_pipelines():
    files = {file.name for file in SEMAPHORE}
    for file in SEMAPHORE:
        pipeline = yaml.safe_load(file.read_text())
        assert pipeline["version"] == "v1.0"
        pipelines = {promotion["pipeline_file"] for promotion in pipeline.get("promotions", [])}
        assert pipelines <= files, (file.name, pipelines - files)
        for block in pipeline["blocks"]:
            shared = block["task"].get("prologue", {}).get("commands_file")
            assert shared is None or (file.parent / shared).is_file(), (file.name, shared)
    assert {"semaphore.yml", "canary.yml", "stable.yml", "rollback.yml"} <= files


@pytest.mark.parametrize(("chosen", "code"), [("prod-aws", 0), ("prod", 1)])
def test_semaphores_children_stay_on_their_parents_stack(tmp_path: Path, chosen: str, code: int):
    folder = ROOT / ".semaphore"
    canary = yaml.safe_load((folder / "canary.yml").read_text())
    (push,) = [each for each in semaphore_commands(canary["blocks"]) if "artifact push workflow stack.txt" in each]
    (tmp_path / "artifact").write_text(
        '#!/bin/sh\n[ "$1" = push ] && cp "$3" "$STORE/"\n[ "$1" = push ] || cp "$STORE/$3" .\n'
    )
    (tmp_path / "artifact").chmod(0o755)
    (tmp_path / "store").mkdir()
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STORE": str(tmp_path / "store")}
    subprocess.run(["bash", "-ec", push], cwd=tmp_path, env={**variables, "STACK": "prod-aws"}, check=True)
    for name, option in (("stable.yml", []), ("rollback.yml", ["--if-known"])):
        (block,) = yaml.safe_load((folder / name).read_text())["blocks"]
        (job,) = block["task"]["jobs"]
        assert job["commands"][0].split() == [".semaphore/inherit-stack", *option], "before anything is changed"
        done = subprocess.run(
            [folder / "inherit-stack", *option],
            cwd=tmp_path,
            env={**variables, "STACK": chosen},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code
        assert ("start the promotion again with STACK=prod-aws" in done.stderr) == bool(code)


@pytest.mark.parametrize(
    ("pipeline", "kept", "fails", "code", "pushed"),
    [
        ("rollback.yml", ["stack.txt", "file"], "", 0, "moved"),
        ("rollback.yml", [], "", 0, "moved"),
        ("rollback.yml", ["stack.txt", "file"], "rollback", 1, "from canary"),
        ("rollback.yml", [], "rollback", 1, ""),
        ("stable.yml", ["stack.txt", "file"], "", 0, "moved"),
        ("stable.yml", ["file"], "", 1, ""),
    ],
)
def test_semaphore_keeps_the_deployed_stack_file(
    tmp_path: Path, pipeline: str, kept: list[str], fails: str, code: int, pushed: str
):
    """Artifacts expire. A rollback needs none, and Git's stack file never replaces the artifact."""
    (tmp_path / ".semaphore").mkdir()
    shutil.copy(ROOT / ".semaphore" / "inherit-stack", tmp_path / ".semaphore")
    programs = {
        "artifact": '[ "$1" = push ] && exec cp "$3" pushed\ncp "kept/$3" . 2>/dev/null',
        ".venv/bin/python": f"case $3 in diagnose|{fails or 'none'}) exit 1 ;; esac\necho moved > Pulumi.prod.yaml",
    }
    for name, text in programs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "kept").mkdir()
    for name in kept:
        text = {"stack.txt": "prod", "file": "from canary"}[name]
        (tmp_path / "kept" / ("Pulumi.prod.yaml" if name == "file" else name)).write_text(f"{text}\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("from Git\n")
    (block,) = yaml.safe_load((ROOT / ".semaphore" / pipeline).read_text())["blocks"]
    (job,), last = block["task"]["jobs"], block["task"]["epilogue"]["always"]["commands"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STACK": "prod"}
    for commands, expected in ((job["commands"], code), (last, 0)):
        script = "\n".join(commands).replace("/tmp/deployed", str(tmp_path / "deployed"))
        done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=environment, capture_output=True)
        assert bool(done.returncode) == bool(expected), done.stderr
    result = tmp_path / "pushed"
    assert (result.read_text().strip() if result.exists() else "") == pushed


@pytest.mark.parametrize(("key", "expected"), [("imageVerification: cosign.pub", "cosign"), ("cloud: local", "")])
def test_semaphore_builds_cosign_where_it_is_needed(tmp_path: Path, key: str, expected: str):
    (tmp_path / "Pulumi.prod.yaml").write_text(f"config:\n  addressbook:{key}\n")
    for name in ("checkout", "sem-version", "cache", "checksum", "make", ".github/tools"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('#!/bin/sh\necho "$(basename "$0") [$1] $2"\n')
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STACK": "prod", "PULUMI_BACKEND_URL": "x", "HOME": "/x"}
    setup = ROOT / ".semaphore" / "setup"
    done = subprocess.run(["bash", "-e", setup], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"tools [] {expected}\n" in done.stdout


@pytest.mark.parametrize(("key", "push"), [("", "--push --attest"), ("env://KEY", "--push --attest --sign env://KEY")])
def test_semaphore_attests_and_signs_what_it_pushes(tmp_path: Path, key: str, push: str):
    blocks = yaml.safe_load((ROOT / ".semaphore" / "semaphore.yml").read_text())["blocks"]
    (job,) = next(block for block in blocks if block["name"] == "Image")["task"]["jobs"]
    for name in ("artifact", "cache", "checksum", "docker", "make", ".github/tools"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name}: $*" >> {tmp_path}/log\n')
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "REGISTRY": "r.example/team"}
    login = {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "p", **({"SIGNING_KEY": key} if key else {})}
    script = "\n".join(job["commands"])
    subprocess.run(["bash", "-ec", script], cwd=tmp_path, env={**variables, **login}, check=True)
    log = (tmp_path / "log").read_text().splitlines()
    built = f"make: --silent image REPOSITORY=r.example/team/addressbook PUSH={push}"
    assert log.index(".github/tools:  syft cosign") < log.index(built) < log.index("artifact: push workflow image.json")


def test_every_make_target_exists():
    for target in make_targets():
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, (target, done.stderr)


def test_engine_and_sdk_have_the_same_version():
    (version,) = [step["with"]["pulumi-version"] for _, step in steps() if "pulumi/actions" in step.get("uses", "")]
    assert f"pulumi=={version}" in (ROOT / "requirements.in").read_text().splitlines()


def test_cloud_is_read_from_the_stack_file(tmp_path: Path):
    (step,) = [step for _, step in steps() if "cloud=" in step.get("run", "")]
    for stack in ("prod", "prod-gcp", "prod-aws", "staging"):
        config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
        environment = {**os.environ, "STACK": stack, "GITHUB_OUTPUT": "/dev/stdout"}
        done = subprocess.run(["bash", "-ec", step["run"]], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.stdout == f"cloud={config['addressbook:cloud']}\n"
    (tmp_path / "Pulumi.staging.yaml").write_text("config:\n  cloud: 'gcp' # without the project's name\n")
    done = subprocess.run(["bash", "-ec", step["run"]], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "cloud=gcp\n"


def test_code_owners_guard_what_guards_production():
    rules = [line.split() for line in (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()]
    patterns = [rule[0].lstrip("/") for rule in rules if rule and rule[0] != "#"]
    owned = {file for pattern in patterns for match in ROOT.glob(pattern) for file in (match, *match.rglob("*"))}
    assert all(any(ROOT.glob(pattern)) for pattern in patterns)
    assert owned >= {*WORKFLOWS, *ACTIONS, *SEMAPHORE, *ROOT.glob("policy/*.py"), *ROOT.glob("Pulumi.prod*.yaml")}


def test_cached_packages_are_of_one_python_and_one_lock():
    (key,) = [step["with"]["key"] for _, step in steps() if step.get("with", {}).get("path") == ".venv"]
    assert "${{ steps.python.outputs.python-version }}" in key  # the full one, which setup-python returns
    (patterns,) = re.findall(r"hashFiles\(([^)]*)\)", key)
    locked = {file for pattern in re.findall(r"'([^']*)'", patterns) for file in ROOT.glob(pattern)}
    assert locked >= {ROOT / "requirements.txt", ROOT / "requirements-dev.txt"}
