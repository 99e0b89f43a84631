"""The policy pack under the real engine: violations stop, advice does not, and the project's own programs pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.simulation import clouds, of_cloud
from tests.engine import policy_programs as programs
from tests.engine.policy_programs import Violation
from tests.project import PASSPHRASE, ROOT, Project

NewProject = Callable[..., Project]
PACK = ROOT / "policy"
#: Start of pulumi_policy's message about a value that is unknown in a preview.
NOT_YET = "can't run policy"
LAUNCHER = "#!/bin/sh\nPYTHONPATH='{root}' exec '{python}' -m {module} \"$@\"\n"
DIGEST = "sha256:" + "a" * 64


@dataclass
class Outcome:
    """A command's result, and the pack's messages by rule and resource."""

    ok: bool
    output: str
    mandatory: dict[Violation, str] = field(default_factory=dict[Violation, str])
    advisory: dict[Violation, str] = field(default_factory=dict[Violation, str])

    @property
    def advice(self) -> dict[Violation, str]:
        """Advisory messages, less those about unknown values."""
        return {each: message for each, message in self.advisory.items() if NOT_YET not in message}


def run_with_pack(project: Project, *command: str) -> Outcome:
    """Run pulumi with the pack."""
    log = project.folder / "events.json"
    log.unlink(missing_ok=True)
    # The Automation API sets this for the same option.
    project.environment["PULUMI_DEBUG_COMMANDS"] = "true"
    done = project.pulumi(*command, "--policy-pack", str(PACK), "--event-log", str(log), check=False)
    assert log.exists(), done.stdout + done.stderr
    result = Outcome(done.returncode == 0, done.stdout + done.stderr)
    for line in log.read_text().splitlines():
        if event := json.loads(line).get("policyEvent"):
            at = Violation(event["policyName"], event["resourceUrn"].rpartition("::")[2])
            level = result.mandatory if event["enforcementLevel"] == "mandatory" else result.advisory
            level[at] = event["message"]
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def program(toolchain: Mapping[str, str], tmp_path: Path) -> Callable[..., Project]:
    """Return a function that creates a project from a small program."""

    def make(text: str, stack: str = "dev", cloud: str = "") -> Project:
        folder, environment = tmp_path / "projects" / stack / "program", dict(toolchain)
        folder.mkdir(parents=True)
        (tmp_path / "state").mkdir()
        environment |= {
            "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        if cloud:
            environment = in_simulated(cloud, folder.parent, environment)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        runtime = {"name": "python", "options": {"virtualenv": ".venv"}}
        config = {"gcp:project": {"value": "simulated-project"}} if cloud == "gcp" else {}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "policy", "runtime": runtime, "config": config}))
        (folder / "__main__.py").write_text(text)
        project = Project(folder, stack, environment)
        project.run("pulumi", "stack", "init", stack, "--non-interactive")
        return project

    return make


def in_simulated(cloud: str, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a simulated cloud: plugin and commands on PATH, logged in, no real credentials."""
    simulation = of_cloud(cloud)
    commands = folder / "bin"
    commands.mkdir()
    for name, module in {f"pulumi-resource-{cloud}": f"lab.plugins.{cloud}", **simulation.commands}.items():
        (commands / name).write_text(LAUNCHER.format(root=ROOT, python=sys.executable, module=module))
        (commands / name).chmod(0o755)
    kept = {name: value for name, value in environment.items() if name not in simulation.hidden}
    kept["PATH"] = f"{commands}{os.pathsep}{kept['PATH']}"
    login = folder / "rehearsals" / "login"  # as deep as in the lab's own state
    login.mkdir(parents=True)
    variables = simulation.login(login)
    for file in login.glob("*.pem"):
        shutil.copy(file, folder)
    return {**kept, **variables}


def test_workloads_and_secrets(program: Callable[..., Project]):
    project = program(programs.KUBERNETES)
    result = run_with_pack(project, "preview")
    assert not result.ok
    assert set(result.mandatory) == programs.KUBERNETES_VIOLATIONS
    assert set(result.advisory) == programs.KUBERNETES_ADVICE
    assert NOT_YET in result.advisory[Violation("images-by-digest", "unknown-image")]
    # The messages do not contain the secrets.
    assert "lovelace" not in "".join(result.mandatory.values())


def _cloud_programs() -> list[Any]:
    known = {
        "digitalocean": (programs.DIGITALOCEAN, programs.DIGITALOCEAN_VIOLATIONS, programs.DIGITALOCEAN_ADVICE),
        "gcp": (programs.GCP, programs.GCP_VIOLATIONS, set[Violation]()),
        "aws": (programs.AWS, programs.AWS_VIOLATIONS, {Violation("costs", "large")}),
    }
    return [pytest.param(cloud, *known[cloud], id=cloud) for cloud in clouds()]


@pytest.mark.parametrize(("cloud", "text", "violations", "advice"), _cloud_programs())
def test_clouds(
    program: Callable[..., Project], cloud: str, text: str, violations: set[Violation], advice: set[Violation]
):
    project = program(text, stack="prod-policy", cloud=cloud)
    (project.folder / "Dockerfile").write_text("FROM scratch\n")
    result = run_with_pack(project, "preview")
    assert not result.ok
    assert set(result.mandatory) == violations, result.output
    assert set(result.advice) == advice


UNKNOWN_UNTIL_UP = """
import pulumi_random as random
name = random.RandomString("name", length=8).result
random.RandomString("late", length=8, keepers={"token": name})
"""


def test_values_unknown_in_preview_are_checked_in_up(program: Callable[..., Project]):
    project = program(UNKNOWN_UNTIL_UP)
    late = Violation("secrets-only-as-secrets", "late")
    previewed = run_with_pack(project, "preview")
    assert previewed.ok, previewed.output
    assert NOT_YET in previewed.advisory[late]
    done = run_with_pack(project, "up", "--yes", "--skip-preview")
    assert not done.ok
    assert set(done.mandatory) == {late}
    assert "late" not in {each["urn"].rpartition("::")[2] for each in project.state()["resources"]}


def test_violation_stops_up_before_any_change(program: Callable[..., Project]):
    text = 'import pulumi_random as random\nrandom.RandomString("plain", length=8, keepers={"token": "plain"})\n'
    project = program(text)
    # As users run it: with its preview.
    assert not run_with_pack(project, "up", "--yes").ok
    created = [each["type"] for each in project.state().get("resources", [])]
    assert [kind for kind in created if kind.startswith("random:")] == []


BUILT = """
import pulumi_docker as docker
docker.Image("built", image_name="registry.example/shop:v2", build={"context": ".", "platform": "linux/amd64"})
"""


def test_pack_configuration_can_be_overridden(program: Callable[..., Project], tmp_path: Path):
    project = program(BUILT, stack="prod")
    (project.folder / "Dockerfile").write_text("FROM scratch\n")
    built = Violation("pinned-in-production", "built")
    refused = run_with_pack(project, "preview")
    assert set(refused.mandatory) == {built}, refused.output
    first = run_with_pack(project, "preview", "--policy-pack-config", str(PACK / "first-release.json"))
    assert first.ok, first.output
    assert set(first.advice) == {built}
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"pinned-in-production": {"stacks": "prod"}}')
    refused = project.pulumi("preview", "--policy-pack", str(PACK), "--policy-pack-config", str(wrong), check=False)
    assert refused.returncode != 0
    assert "stacks" in refused.stdout + refused.stderr


def test_dev_stack_passes(new_project: NewProject, lab: Mapping[str, str]):
    own = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    config = {key.partition(":")[2]: value for key, value in own.items()}
    project = new_project("policy", lab, **{**config, "canaryImage": "source", "canaryReplicas": 1})
    result = run_with_pack(project, "preview")
    assert result.ok, result.output
    assert result.mandatory == {}
    assert result.advice == {}


def _production_stacks() -> list[Any]:
    stacks: list[Any] = []
    for file in sorted(ROOT.glob("Pulumi.prod*.yaml")):
        config = yaml.safe_load(file.read_text())["config"]
        if config["addressbook:cloud"] in clouds():
            stack = file.name.split(".")[1]
            stacks.append(pytest.param(stack, config, id=stack))
    return stacks


#: The rules that advise on a production stack as its sample file has it, and the value that each asks for.
ADVICE: Mapping[str, tuple[str, Any]] = {
    "databaseClientImage": ("no-tags-in-production", f"postgres:15-bookworm@{DIGEST}"),
    "apiServerAccess": ("api-server-access", ["203.0.113.0/24"]),
}


def _platform_keys(cloud: str) -> set[str]:
    return import_module(f"stacks.{cloud}").PlatformKeys.key_names()


@pytest.fixture
def production(new_project: NewProject, toolchain: Mapping[str, str]) -> Callable[..., Outcome]:
    """Return a function that previews a production stack, pinned, with changes to its sample file's config."""

    def preview(stack: str, config: dict[str, Any], **changed: Any) -> Outcome:
        cloud = config["addressbook:cloud"]
        project = new_project(stack, toolchain, cloud=cloud)
        project.environment = in_simulated(cloud, project.folder.parent, project.environment)
        pinned = {"stableImage": f"registry.example/addressbook@{DIGEST}", **changed}
        wanted = {**config, **of_cloud(cloud).config, **{f"addressbook:{key}": value for key, value in pinned.items()}}
        salt = {key: value for key, value in yaml.safe_load(project.stack_file.read_text()).items() if key != "config"}
        given = {key: value for key, value in wanted.items() if value is not None}
        project.stack_file.write_text(yaml.safe_dump({**salt, "config": given}))
        return run_with_pack(project, "preview")

    return preview


@pytest.mark.parametrize(("stack", "config"), _production_stacks())
def test_production_stacks_pass(production: Callable[..., Outcome], stack: str, config: dict[str, Any]):
    result = production(stack, config)
    assert result.ok, result.output
    assert result.mandatory == {}
    # What the stack files leave to the team, in comments.
    keys = _platform_keys(config["addressbook:cloud"])
    assert {each.rule for each in result.advice} == {rule for key, (rule, _) in ADVICE.items() if key in keys}


def test_a_production_stack_that_follows_advice_has_none(production: Callable[..., Outcome]):
    stacks = [each.values for each in _production_stacks()]
    stack, config = next(each for each in stacks if ADVICE.keys() <= _platform_keys(each[1]["addressbook:cloud"]))
    result = production(stack, config, **{key: value for key, (_, value) in ADVICE.items()})
    assert result.ok, result.output
    assert result.mandatory == {}
    assert result.advice == {}


def test_pack_runs_in_the_projects_environment(toolchain: Mapping[str, str]):
    """The virtual environment is named in the pack's own file, relative to it."""
    options = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())["runtime"]["options"]
    python = PACK / options["virtualenv"] / "bin" / "python"
    done = subprocess.run([python, "-c", "import pulumi_policy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
