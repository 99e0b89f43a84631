"""From a branch to what runs, by the commands that the workflows run, on a repository of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import registries
from tests.e2e.conftest import Api
from tests.e2e.registries import Registry
from tests.project import ROOT

STACK = "trunk"
NAMESPACE = "addressbook-e2e-trunk"
#: Release stacks on its platform, and the namespaces that follow of their names.
BRANCHES = {"one": f"{NAMESPACE}-one", "two": f"{NAMESPACE}-two"}
LAB = "10.203.0.1:5000"
CONFIG = {
    "cloud": "local",
    "kubeContext": "addressbook-lab",
    "registry": LAB,
    "namespace": NAMESPACE,
    "stableReplicas": 1,
    "rolloutTimeoutSeconds": 90,
    "cpuRequest": "10m",
}
#: What keeps the policies' rule about limits; a line of components/container_defaults.py.
LIMIT = '        "limits": {"memory": service.memory_limit},\n'


@dataclass
class Repository:
    """``project`` is a Git repository of the program with a stack that is up; ``image`` is what CI built and pushed.

    ``ci`` is the registry that CI pushes to, another one than the stack's.
    """

    project: Any
    ci: Registry
    image: str
    revision: str

    @property
    def digest(self) -> str:
        return self.image.partition("@")[2]

    def git(self, *arguments: str) -> str:
        return self.project.run("git", *arguments).stdout.strip()

    def promotion(self, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = self.project.run(sys.executable, "-m", "promotion", *arguments, check=False)
        said = f"{arguments} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        assert check is None or done.returncode == check, said
        assert "Traceback" not in done.stdout + done.stderr, said
        return done

    def up(self, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.promotion("up", "--stack", STACK, check=check)

    def preview(self, check: int = 0) -> str:
        """The comment under a pull request."""
        return self.promotion("preview", "--stack", STACK, "--output", "markdown", check=check).stdout

    def resources(self) -> dict[str, Any]:
        """What the state says of each resource that was declared."""
        return {each["urn"]: each.get("inputs") for each in self.project.state()["resources"]}

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """Pods of the service."""
        return self.project.objects("pods", namespace, "app=addressbook,track")

    def digests(self, namespace: str, track: str) -> set[str]:
        """Of the images that a track's pods really run, as the container runtime says."""
        return {
            status["imageID"].rpartition("@")[2]
            for pod in self.pods(namespace)
            if pod["metadata"]["labels"]["track"] == track
            for status in pod["status"]["containerStatuses"]
        }


def as_git_repository(project: Any) -> None:
    """Make the copy of the program a repository, with all that CI needs of it in its first commit."""
    shutil.copytree(ROOT / "pipeline", project.folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", project.folder)
    project.run("git", "init", "--quiet", "--initial-branch=main")
    (project.folder / ".git" / "info" / "exclude").write_text(".venv\n")  # a link here
    for key, value in {"user.name": "test", "user.email": "test@example.invalid"}.items():
        project.run("git", "config", key, value)
    project.run("git", "add", ".")
    project.run("git", "commit", "--quiet", "--message", "begin")


def image_of_ci(project: Any, ci: Registry) -> str:
    """Build the image once, test it from within and push it, as CI does."""
    command = ("-m", "pipeline", "image", "--repository", f"{ci.host}/team/addressbook", "--push")
    return json.loads(project.run(sys.executable, *command).stdout)["image"]


@pytest.fixture(scope="module")
def repository(
    lab: dict[str, str], new_project: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """The stack is up, on what was built from source; all stacks are destroyed afterwards."""
    project = new_project(STACK, lab, **CONFIG)
    with registries.registry(tmp_path_factory.mktemp("ci") / "registry") as ci:
        try:
            as_git_repository(project)
            image = image_of_ci(project, ci)
            made = Repository(project, ci, image, project.run("git", "rev-parse", "HEAD").stdout.strip())
            made.up()
            yield made
        finally:
            for name in (*BRANCHES, STACK):  # the platform last
                of = replace(project, stack=name)
                destroy = ("destroy", "--yes", "--skip-preview")
                if of.stack_file.exists() and of.pulumi(*destroy, check=False).returncode:
                    of.pulumi("cancel", "--yes", check=False)
                    of.pulumi(*destroy, check=False)
            for namespace in (*BRANCHES.values(), NAMESPACE):
                project.kubectl("delete", "namespace", namespace, "--ignore-not-found", check=False)


@pytest.fixture
def main(repository: Repository) -> Iterator[Repository]:
    """On branch main, before and after the test."""
    yield repository
    repository.git("switch", "--quiet", "--force", "main")


def names(pods: Sequence[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def test_a_canary_by_pull_request_runs_the_digest_that_was_tested(main: Repository):
    before = names(main.pods(NAMESPACE))
    main.git("switch", "--quiet", "--create", "canary-trunk")
    main.promotion("canary", "--stack", STACK, "--image", main.image, "--only-config", "--commit")

    comment = main.preview()
    short = main.digest.removeprefix("sha256:")[:12]
    assert comment.startswith(f"<!-- preview of addressbook/{STACK} -->\n")
    assert "**Canary on trial:** 50 % of the users' connections." in comment
    revision = f"(revision `{main.revision[:12]}`)"
    assert f"| canary | none → **`{short}` {revision}** | 0 → **1** | 0 % → **50 %** |" in comment, (
        "as CI's registry says"
    )
    (stable,) = [line for line in comment.splitlines() if line.startswith("| stable |")]
    assert revision in stable, "as the stack's own registry says"
    assert stable.endswith("| 1 | 100 % → **50 %** |")
    assert "| create | `addressbook-canary` | `kubernetes:apps/v1:Deployment` |" in comment
    assert "CAUTION" not in comment, "nothing is lost"
    assert names(main.pods(NAMESPACE)) == before, "a preview changes nothing"

    main.git("switch", "--quiet", "main")
    main.git("merge", "--quiet", "--no-ff", "--no-edit", "canary-trunk")
    main.up()
    assert main.digests(NAMESPACE, "canary") == {main.digest}
    assert before < names(main.pods(NAMESPACE)), "stable runs on"
    assert main.project.outputs()["tracks"]["canary"]["image"] == f"{LAB}/addressbook@{main.digest}"
    assert main.git("status", "--porcelain") == "", "what runs is what Git says"


def test_what_runs_is_byte_for_byte_what_ci_pushed(main: Repository):
    own = Registry(LAB, Path())
    manifest = main.ci.manifest("team/addressbook", main.digest)
    assert manifest
    assert registries.digest_of(manifest) == main.digest
    assert own.manifest("addressbook", main.digest) == manifest
    configuration = own.blob("addressbook", json.loads(manifest)["config"]["digest"])
    assert configuration
    labels = json.loads(configuration)["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == main.revision
    status = json.loads(main.promotion("status", "--stack", STACK, "--output", "json").stdout)
    assert status["tracks"]["canary"]["revision"] == main.revision


def test_a_change_against_policy_is_stopped_before_anything_changes(main: Repository):
    before, pods = main.resources(), names(main.pods(NAMESPACE))
    main.git("switch", "--quiet", "--create", "unlimited")
    running = main.project.folder / "components" / "running.py"
    assert LIMIT in running.read_text()
    running.write_text(running.read_text().replace(LIMIT, ""))
    # Nothing against this one, and it would be first: variables are there before pods.
    main.project.pulumi("config", "set", "--path", "environment.GREETING", "hello")
    main.git("commit", "--quiet", "--all", "--message", "no limits, and a greeting")

    comment = main.preview(check=1)
    assert "The preview failed: merged like this, nothing would be changed." in comment
    assert "container-limits" in comment

    refused = main.up(check=None)
    assert refused.returncode != 0, "the update went through"
    assert "container-limits" in refused.stdout + refused.stderr
    assert main.resources() == before
    assert names(main.pods(NAMESPACE)) == pods


def test_stacks_of_two_branches_beside_each_other_and_one_removed(main: Repository):
    # One runs what CI tested, as staging does; the other what is in the checkout.
    wanted = (("--name", "one", "--image", main.image), ("--name", "two"))
    with ThreadPoolExecutor() as both:
        done = list(both.map(lambda each: main.promotion("stack", "--platform", STACK, *each), wanted))
    assert main.digests(BRANCHES["one"], "stable") == {main.digest}
    apis: dict[str, Api] = {}
    for name, made in zip(BRANCHES, done, strict=True):
        url = replace(main.project, stack=name).outputs()["url"]
        assert url in made.stdout
        apis[name] = Api(url)
        apis[name].store(f"of-{name}", "Lovelace")

    for refused, why in (
        (("stack", "--platform", STACK, "--name", "one"), "there is a Pulumi.one.yaml already"),
        (("unstack", "--name", STACK), "is no release stack"),
    ):
        assert why in main.promotion(*refused, check=2).stderr

    others = {namespace: names(main.pods(namespace)) for namespace in (NAMESPACE, BRANCHES["two"])}
    main.promotion("unstack", "--name", "one")
    assert not (main.project.folder / "Pulumi.one.yaml").exists()
    listed = json.loads(main.project.run("pulumi", "stack", "ls", "--json").stdout)
    assert {each["name"] for each in listed} == {STACK, "two"}
    assert main.project.kubectl("get", "namespace", BRANCHES["one"], check=False).returncode != 0
    assert {namespace: names(main.pods(namespace)) for namespace in others} == others
    status, people = apis["two"].call("GET", "/all")
    assert (status, [person["firstName"] for person in people]) == (200, ["of-two"])
