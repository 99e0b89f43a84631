"""The workflows' scripts, run for real with simulated commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.environment import LABEL
from tests.unit.pipeline.test_environment import pull_request

ROOT = Path(__file__).resolve().parents[2]


def script(folder: Path, name: str, text: str) -> Path:
    """Write a simulated program."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("wanted", "has", "built"),
    [
        (["digitalocean"], (), ["regctl", "doctl"]),
        (["aws"], (), ["regctl"]),
        ([""], (), ["regctl"]),
        (["digitalocean"], ("regctl",), ["doctl"]),
        (["digitalocean"], ("regctl", "doctl"), []),
        (["", "syft", "grype", "cosign"], ("syft",), ["regctl", "grype", "cosign"]),
    ],
)
def test_missing_tools_are_built_at_pinned_versions(
    tmp_path: Path, wanted: list[str], has: tuple[str, ...], built: list[str]
):
    log = tmp_path / "log"
    script(tmp_path, "go", f'echo "$GOBIN $*" >> {log}')
    for name in ("pulumi", *has):
        script(tmp_path, name, "")
    for name in ("bash", "mkdir"):  # nothing else of this machine
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path / "home")}
    subprocess.run(
        [str(shutil.which("bash")), ROOT / ".github" / "tools", *wanted], cwd=ROOT, env=environment, check=True
    )
    lines = log.read_text().splitlines() if log.exists() else []
    assert [re.split(r"[/@]", re.sub(r"@.*", "", line))[-1] for line in lines] == built
    for line in lines:
        assert line.startswith(f"{tmp_path}/home/.local/bin ")
        assert re.search(r"@v\d+\.\d+\.\d+$", line)  # Go's database has the version's checksum


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder with a simulated `offer` and a simulated `promotion` whose verdict exits with $VERDICT."""
    log = tmp_path / "log"
    script(
        tmp_path,
        ".venv/bin/python",
        f"""echo "$3" >> {log}
        [ "$3" != status ] || echo '{{"tracks": {{"canary": '"${{CANARY-1}}"'}}}}'
        [ "$3" != verdict ] || exit "$VERDICT" """,
    )
    script(tmp_path, ".github/offer", f'echo "offer $1" >> {log}')
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("verdict", "does", "code"),
    [
        (0, ["status", "verdict", "promote", "offer promote-prod"], 0),
        (5, ["status", "verdict", "offer rollback-prod"], 5),  # the verdict command has rolled back
        (3, ["status", "verdict"], 3),
        (2, ["status", "verdict"], 2),
    ],
)
def test_judge_script_acts_on_the_verdict(judged: Path, verdict: int, does: list[str], code: int):
    environment = {**os.environ, "VERDICT": str(verdict)}
    done = subprocess.run([ROOT / ".github" / "judge", "prod"], cwd=judged, env=environment, check=False)
    assert done.returncode == code
    assert (judged / "log").read_text().splitlines() == does


def test_judge_script_without_a_canary_does_nothing(judged: Path):
    environment = {**os.environ, "CANARY": "null"}
    subprocess.run([ROOT / ".github" / "judge", "prod"], cwd=judged, env=environment, check=True)
    assert (judged / "log").read_text().splitlines() == ["status"]


def test_offer_script_needs_a_commit(tmp_path: Path):
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    log = tmp_path / "log"
    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message", "begin")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    script(tmp_path, "bin/gh", f'echo "$1 $2" >> {log}; exit 9')
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    offer = [ROOT / ".github" / "offer", "promote-prod"]
    assert subprocess.run(offer, cwd=tmp_path, env=environment, check=False).returncode == 0
    assert not log.exists()
    git("commit", "--quiet", "--allow-empty", "--message", "promote")
    assert subprocess.run(offer, cwd=tmp_path, env=environment, check=False).returncode == 9, "it calls GitHub"
    assert log.read_text() == "auth setup-git\n"


@pytest.mark.parametrize(
    ("action", "runs", "outputs"),
    [
        (
            "up",
            "stack --name pr-7 --platform staging --update --expires-in 3d --output json",
            "url=http://x\nexpires=2026-12-03T15:00Z\n",
        ),
        ("remove", "unstack --name pr-7 --wait", ""),
    ],
)
def test_environment_script_says_where_it_runs(tmp_path: Path, action: str, runs: str, outputs: str):
    document = json.dumps({"outputs": {"url": "http://x"}, "expires": "2026-12-03T15:00Z"})
    script(tmp_path, ".venv/bin/python", f"shift 2; echo \"$@\" >> {tmp_path}/log; echo '{document}'")
    environment = {**os.environ, "GITHUB_OUTPUT": str(tmp_path / "outputs")}
    (tmp_path / "outputs").touch()
    subprocess.run([ROOT / ".github/environment", action, "pr-7", "staging"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "log").read_text() == f"{runs}\n"
    assert (tmp_path / "outputs").read_text() == outputs


DRIFT = """
case "$2 $3" in
  "pipeline stacks") echo '{{"staging": ["staging"]}}' ;;
  pipeline*) cat "${{@: -1}}" > {folder}/reported ;;
  *) echo "$@" > {folder}/asked; echo '{{}}'; exit {code} ;;
esac
"""


@pytest.mark.parametrize(("code", "reports"), [(0, True), (6, True), (1, False), (2, False)])
def test_drift_script_reports_only_what_it_knows(tmp_path: Path, code: int, reports: bool):
    script(tmp_path, ".venv/bin/python", DRIFT.format(folder=tmp_path, code=code))
    done = subprocess.run([ROOT / ".github/drift", "prod"], cwd=tmp_path, check=False)
    assert done.returncode == (0 if reports else code)
    assert (tmp_path / "reported").exists() is reports


@pytest.mark.parametrize(("stack", "ignores"), [("staging", True), ("prod", False)])
def test_only_stagings_image_is_no_drift(tmp_path: Path, stack: str, ignores: bool):
    script(tmp_path, ".venv/bin/python", DRIFT.format(folder=tmp_path, code=0))
    subprocess.run([ROOT / ".github/drift", stack], cwd=tmp_path, check=True)
    assert ("--ignore-image" in (tmp_path / "asked").read_text()) is ignores


LOGINS = {
    "": ({}, None),
    "ghcr.io/owner": ({"GITHUB_ACTOR": "me", "GITHUB_TOKEN": "t"}, "ghcr.io --username me --password-stdin t"),
    "registry.example.com/team": (
        {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "p"},
        "registry.example.com --username ci --password-stdin p",
    ),
    "registry.digitalocean.com/ours": (
        {"DIGITALOCEAN_ACCESS_TOKEN": "d"},
        "registry.digitalocean.com --username d --password-stdin d",
    ),
    "1.dkr.ecr.eu-west-1.amazonaws.com": (
        {},
        "1.dkr.ecr.eu-west-1.amazonaws.com --username AWS --password-stdin ecr get-login-password --region eu-west-1",
    ),
    "europe-docker.pkg.dev/ours": (
        {},
        "europe-docker.pkg.dev --username oauth2accesstoken --password-stdin auth print-access-token",
    ),
}


@pytest.mark.parametrize("registry", LOGINS)
def test_each_registry_has_its_login(tmp_path: Path, registry: str):
    variables, expected = LOGINS[registry]
    script(tmp_path, "bin/docker", f'[ "$1" = login ]; shift; echo "$* $(cat)" > {tmp_path}/login')
    for name in ("aws", "gcloud"):
        script(tmp_path, f"bin/{name}", 'echo "$*"')
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "REGISTRY": registry, **variables}
    done = subprocess.run([ROOT / ".github" / "log-in-registry"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "login").exists() == bool(expected)
    assert not expected or (tmp_path / "login").read_text().strip() == expected


def test_an_unknown_registry_needs_a_login():
    done = subprocess.run(
        [ROOT / ".github" / "log-in-registry"],
        env={"PATH": os.environ["PATH"], "REGISTRY": "registry.example.com/team"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "set the variable REGISTRY_USER and the secret REGISTRY_PASSWORD" in done.stderr


@pytest.mark.parametrize(
    ("image", "running", "updates"),
    [
        ("r/a@sha256:1", "r/a@sha256:0", " --set stableImage=r/a@sha256:1"),
        ("", "r/a@sha256:0", " --set stableImage=r/a@sha256:0"),
        ("", "", ""),
    ],
    ids=["a new image", "only the program changed", "the first update"],
)
def test_staging_never_returns_to_an_older_image(tmp_path: Path, image: str, running: str, updates: str):
    status = json.dumps({"tracks": {"stable": {"image": running}}}) if running else ""
    script(
        tmp_path,
        ".venv/bin/python",
        f"""[ "$3" != status ] || {{ echo '{status}'; exit {0 if running else 1}; }}
        shift 2; echo "$@" >> {tmp_path}/log""",
    )
    script(tmp_path, ".github/record", f'echo "record $1" >> {tmp_path}/log')
    subprocess.run([ROOT / ".github" / "stage", "staging", image], cwd=tmp_path, check=True)
    expected = [f"up --stack staging --with-platform{updates}", "record staging"]
    assert (tmp_path / "log").read_text().splitlines() == expected


def test_a_changed_stack_file_is_offered(tmp_path: Path):
    script(tmp_path, ".github/offer", f'echo "offer $1" >> {tmp_path}/log')
    stack_file = tmp_path / "Pulumi.prod.yaml"
    stack_file.write_text("config: {}\n")
    git = ("git", "-C", str(tmp_path), "-c", "user.name=test", "-c", "user.email=test@example.invalid")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "begin")):
        subprocess.run([*git, *command], check=True)
    record = [ROOT / ".github" / "record", "prod", "pin the image"]
    subprocess.run(record, cwd=tmp_path, check=True)
    assert not (tmp_path / "log").exists()
    stack_file.write_text("config: {addressbook:stableImage: x}\n")
    subprocess.run(record, cwd=tmp_path, check=True)
    assert (tmp_path / "log").read_text() == "offer record-prod\n"
    subject = subprocess.run([*git, "log", "-1", "--format=%s"], capture_output=True, text=True, check=True).stdout
    assert subject == "prod: pin the image\n"


class Repository:
    """A repository made from this one, whose workflows' own steps say what a push does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("pipeline", "contract", ".github", "Pulumi.yaml", "__main__.py", "pyproject.toml", "policy"):
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / name)
        for file in ROOT.glob("Pulumi.*.yaml"):
            shutil.copy(file, folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("begin")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> str:
        (self.folder / ".gitignore").write_text(".venv\n__pycache__/\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def use(self, staging: str = "", production: str = "", environments: str = "") -> None:
        (self.folder / ".github" / "stacks.yaml").write_text(
            f"staging: [{staging}]\nproduction: [{production}]\nenvironments: {environments}\n"
        )

    def run(self, workflow: str, step: str, **variables: str) -> dict[str, str]:
        """Run the workflow's step with this id; return its outputs."""
        document = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())
        steps = [each for job in document["jobs"].values() for each in job["steps"]]
        (run,) = [each["run"] for each in steps if each.get("id") == step]
        environment = {**os.environ, "GITHUB_OUTPUT": "/dev/stdout", **variables}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", run], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def outputs(self, workflow: str, before: str, new_image: str = "") -> dict[str, Any]:
        """Run the workflow's step `touched` after a push; return its outputs, with stacks by name."""
        found = self.run(workflow, "touched", BEFORE=before, BASE=before, NEW_IMAGE=new_image)
        values = {name: json.loads(value) for name, value in found.items()}
        return {k: [each["stack"] for each in v] if isinstance(v, list) else v for k, v in values.items()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


FIRST_PUSH = "0" * 40


def test_the_first_push_of_a_new_repository_is_green(repository: Repository):
    assert repository.outputs("main.yaml", FIRST_PUSH) == {"image": False, "staging": [], "offered": []}
    assert repository.outputs("production.yaml", FIRST_PUSH) == {"stacks": []}


def test_a_push_reaches_the_stacks_that_it_changes(repository: Repository):
    repository.use("staging", "prod, prod-aws")
    before = repository.commit("use")
    (repository.folder / "app").mkdir()
    (repository.folder / "app" / "api.py").write_text("")
    image = repository.commit("a new version")
    assert repository.outputs("main.yaml", before) == {
        "image": True,
        "staging": ["staging"],
        "offered": ["prod", "prod-aws"],
    }
    assert repository.outputs("production.yaml", before) == {"stacks": []}
    (repository.folder / "__main__.py").write_text("")
    program = repository.commit("the program")
    assert repository.outputs("main.yaml", image)["staging"] == ["staging"]
    assert repository.outputs("main.yaml", image)["image"] is False
    assert repository.outputs("production.yaml", image) == {"stacks": ["prod", "prod-aws"]}
    (repository.folder / "Pulumi.prod-gcp.yaml").unlink()  # never used
    repository.commit("delete")
    assert repository.outputs("production.yaml", program) == {"stacks": []}
    assert repository.outputs("pull-request.yaml", program) == {
        "stacks": [],
        "image": False,
        "dependencies": False,
    }


def test_a_new_base_image_goes_to_staging_and_is_offered(repository: Repository):
    repository.use("staging", "prod, prod-aws")
    repository.commit("use")
    assert repository.outputs("main.yaml", "HEAD", "--new-image") == {
        "image": True,
        "staging": ["staging"],
        "offered": ["prod", "prod-aws"],
    }


def test_the_daily_run_looks_at_every_stack_in_use(repository: Repository):
    assert repository.run("daily.yaml", "stacks") == {"stacks": "[]", "environments": "null"}
    repository.use("staging", "prod-aws", "staging")
    found = {name: json.loads(value) for name, value in repository.run("daily.yaml", "stacks").items()}
    assert [each["stack"] for each in found["stacks"]] == ["staging", "prod-aws"]
    assert found["environments"] == {"stack": "staging", "cloud": "digitalocean", "platform": False}


def test_a_labelled_pull_request_gets_its_own_stack(repository: Repository):
    event = repository.folder / "event.json"
    event.write_text(json.dumps(pull_request("labeled", changed=LABEL)))
    run = partial(repository.run, "environment.yaml", "decided", GITHUB_EVENT_PATH=str(event))
    assert run()["action"] == "none", "a new repository names no platform"
    repository.use("staging", environments="staging")
    assert run() == {"action": "up", "name": "pr-7", "platform": "staging", "cloud": "digitalocean", "reason": ""}
    event.write_text(json.dumps(pull_request("closed", state="closed")))
    assert run()["action"] == "remove"


#: Answers as GitHub does for a merge of commit `head1` whose pull request has run 7.
APPLY_GH = """
case "$2" in
repos/owner/name/commits/merged/pulls) [ -z "$PULL" ] || echo head1 ;;
*/workflows/pull-request.yaml/runs\\?event=pull_request\\&head_sha=head1) [ -z "$RUN" ] || echo 7 ;;
*/actions/runs/7/artifacts\\?name=preview-prod) [ -z "$ARTIFACT" ] || echo 11 ;;
download) [ "$*" = "run download 7 --name preview-prod --dir ${7-}" ] && echo '{}' > "$7/preview.json" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("answers", "expects"),
    [
        ({"PULL": "1", "RUN": "1", "ARTIFACT": "1"}, True),
        ({"PULL": "1", "RUN": "1", "ARTIFACT": ""}, False),
        ({"PULL": "1", "RUN": "", "ARTIFACT": ""}, False),
        ({"PULL": "", "RUN": "", "ARTIFACT": ""}, False),
    ],
    ids=["previewed", "no preview of this stack", "no run", "pushed without a pull request"],
)
def test_apply_script_expects_the_reviewed_preview(tmp_path: Path, answers: dict[str, str], expects: bool):
    script(tmp_path, "bin/gh", APPLY_GH)
    script(tmp_path, ".venv/bin/python", 'echo "$@"; [ $# = 5 ] || cat "$7"')
    script(tmp_path, ".github/record", '[ "$1" = prod ]')
    environment = {**os.environ, **answers, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    environment["GITHUB_REPOSITORY"] = "owner/name"
    apply = [ROOT / ".github" / "apply", "prod", "merged"]
    done = subprocess.run(apply, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    command, *content = done.stdout.splitlines()
    assert command.startswith("-m promotion up --stack prod")
    assert (" --expect " in command, content == ["{}"]) == (expects, expects)
    assert ("::warning::" in done.stderr) != expects


@pytest.mark.parametrize("failing", ["*/pulls", "*/runs*", "*/artifacts*", "download"])
def test_apply_script_stops_if_github_does_not_answer(tmp_path: Path, failing: str):
    script(tmp_path, "bin/gh", f'case "$2" in {failing}) exit 1 ;; esac\n{APPLY_GH}')
    script(tmp_path, ".venv/bin/python", "touch applied")
    environment = {**os.environ, "PULL": "1", "RUN": "1", "ARTIFACT": "1", "GITHUB_REPOSITORY": "owner/name"}
    environment["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    apply = [ROOT / ".github" / "apply", "prod", "merged"]
    assert subprocess.run(apply, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 1
    assert not (tmp_path / "applied").exists()
