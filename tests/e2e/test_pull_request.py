"""From a branch to running pods, by the commands of the workflows, on a Git repository of its own."""

from __future__ import annotations

import base64
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
#: Release stacks on its platform, with the namespaces that follow from their names.
BRANCHES = {"one": f"{NAMESPACE}-one", "two": f"{NAMESPACE}-two"}
LAB = "10.203.0.1:5000"
CONFIG = {
    "cloud": "local",
    "kubeContext": "addressbook-lab",
    "registry": LAB,
    "namespace": NAMESPACE,
    "stableReplicas": 1,
    "rolloutTimeoutSeconds": 90,
    "preStopSeconds": 1,  # no users here who could notice
    "cpuRequest": "10m",
}
#: The service's tests that CI's image must pass here: those of its build, and some with a database. All of them take a
#: minute, and run by themselves, too.
TESTS_OF_IMAGE = ("test_settings.py", "test_forms.py", "test_api.py")
#: The line of components/container_defaults.py that satisfies the policy about limits.
LIMIT = '        "limits": {"memory": service.memory_limit, **disk},\n'


@dataclass
class Repository:
    """A Git repository of the program with a running stack.

    ``ci`` is the registry that CI pushed ``image`` to; the stack has another one.
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
        output = f"{arguments} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        assert check is None or done.returncode == check, output
        assert "Traceback" not in done.stdout + done.stderr, output
        return done

    def up(self, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.promotion("up", "--stack", STACK, check=check)

    def preview(self, check: int = 0) -> str:
        """Return the comment under a pull request."""
        return self.promotion("preview", "--stack", STACK, "--output", "markdown", check=check).stdout

    def resources(self) -> dict[str, Any]:
        """Return the inputs of each resource in the state."""
        return {each["urn"]: each.get("inputs") for each in self.project.state()["resources"]}

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """Return the service's pods."""
        return self.project.objects("pods", namespace, "app=addressbook,track")

    def password(self) -> str:
        """Return the database's password."""
        secrets = self.project.objects("secrets", NAMESPACE)
        secret = next(each for each in secrets if "DB_PASSWORD" in each.get("data", {}))
        return base64.b64decode(secret["data"]["DB_PASSWORD"]).decode()

    def digests(self, namespace: str, track: str) -> set[str]:
        """Return the digests that a track's pods run, as the container runtime reports them."""
        return {
            status["imageID"].rpartition("@")[2]
            for pod in self.pods(namespace)
            if pod["metadata"]["labels"]["track"] == track
            for status in pod["status"]["containerStatuses"]
        }


def as_git_repository(project: Any) -> None:
    """Turn the copy of the program into a repository whose first commit has everything that CI needs."""
    shutil.copytree(ROOT / "pipeline", project.folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", project.folder)
    for file in (project.folder / "app" / "tests").glob("test_*.py"):
        if file.name not in TESTS_OF_IMAGE:
            file.unlink()
    project.run("git", "init", "--quiet", "--initial-branch=main")
    (project.folder / ".git" / "info" / "exclude").write_text(".venv\n")  # a link here
    for key, value in {"user.name": "test", "user.email": "test@example.invalid"}.items():
        project.run("git", "config", key, value)
    project.run("git", "add", ".")
    project.run("git", "commit", "--quiet", "--message", "begin")


def image_of_ci(project: Any, ci: Registry) -> str:
    """Build, test and push the image as CI does; return its reference."""
    command = ("-m", "pipeline", "image", "--repository", f"{ci.host}/team/addressbook", "--push")
    return json.loads(project.run(sys.executable, *command).stdout)["image"]


@pytest.fixture(scope="module")
def repository(
    lab: dict[str, str], new_project: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """The repository, its stack running an image built from source."""
    project = new_project(STACK, lab, **CONFIG)
    project.delete_namespaces(*BRANCHES.values(), NAMESPACE)
    with registries.registry(tmp_path_factory.mktemp("ci") / "registry") as ci:
        try:
            as_git_repository(project)
            image = image_of_ci(project, ci)
            repository = Repository(project, ci, image, project.run("git", "rev-parse", "HEAD").stdout.strip())
            repository.up()
            yield repository
        finally:
            for name in (*BRANCHES, STACK):  # the platform last
                release = replace(project, stack=name)
                destroy = ("destroy", "--yes", "--skip-preview")
                if release.stack_file.exists() and release.pulumi(*destroy, check=False).returncode:
                    release.pulumi("cancel", "--yes", check=False)
                    release.pulumi(*destroy, check=False)
            project.delete_namespaces(*BRANCHES.values(), NAMESPACE)


@pytest.fixture
def main(repository: Repository) -> Iterator[Repository]:
    """On branch main, before and after the test."""
    yield repository
    repository.git("switch", "--quiet", "--force", "main")


def names(pods: Sequence[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def test_merged_canary_runs_the_digest_that_ci_tested(main: Repository):
    before = names(main.pods(NAMESPACE))
    main.git("switch", "--quiet", "--create", "canary-trunk")
    main.promotion("canary", "--stack", STACK, "--image", main.image, "--only-config", "--commit")

    comment = main.preview()
    short = main.digest.removeprefix("sha256:")[:12]
    assert comment.startswith(f"<!-- preview of addressbook/{STACK} -->\n")
    assert "**Canary on trial:** 50 % of the users." in comment
    revision = f"(revision `{main.revision[:12]}`)"
    assert f"| canary | none → **`{short}` {revision}** | 0 → **1** | 0 % → **50 %** |" in comment, (
        "the revision comes from CI's registry"
    )
    (stable,) = [line for line in comment.splitlines() if line.startswith("| stable |")]
    assert revision in stable, "the revision comes from the stack's own registry"
    assert stable.endswith("| 1 | 100 % → **50 %** |")
    assert "| create | `addressbook-canary` | `kubernetes:apps/v1:Deployment` |" in comment
    assert "CAUTION" not in comment, "nothing is deleted"
    assert names(main.pods(NAMESPACE)) == before, "a preview changes nothing"

    main.git("switch", "--quiet", "main")
    main.git("merge", "--quiet", "--no-ff", "--no-edit", "canary-trunk")
    main.up()
    assert main.digests(NAMESPACE, "canary") == {main.digest}
    assert before < names(main.pods(NAMESPACE)), "stable keeps its pods"
    assert main.project.outputs()["tracks"]["canary"]["image"] == f"{LAB}/addressbook@{main.digest}"
    assert main.git("status", "--porcelain") == "", "the stack file needs no commit"


def test_running_image_is_byte_for_byte_from_ci(main: Repository):
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


def test_up_applies_only_what_was_reviewed(main: Repository, tmp_path: Path):
    stable = main.project.outputs()["tracks"]["stable"]["image"]
    main.git("switch", "--quiet", "--create", "dark")
    main.promotion("traffic", "--stack", STACK, "stable", "--only-config", "--commit")
    reviewed = tmp_path / "preview.json"
    comment = main.promotion("preview", "--stack", STACK, "--output", "markdown", "--save", str(reviewed)).stdout
    document = json.loads(reviewed.read_text())
    assert document["digest"] in comment
    assert main.password() not in reviewed.read_text()
    main.git("switch", "--quiet", "main")
    main.git("merge", "--quiet", "--no-ff", "--no-edit", "dark")
    before, pods = main.resources(), names(main.pods(NAMESPACE))

    def refused(expect: str, *differences: str) -> None:
        done = main.promotion("up", "--stack", STACK, "--expect", expect, check=2)
        assert "refused, nothing was changed; the update would not do what was reviewed" in done.stderr
        for difference in differences:
            assert difference in done.stderr, done.stderr
        assert main.resources() == before

    main.project.kubectl("scale", "deployment/addressbook-stable", "-n", NAMESPACE, "--replicas=2")
    refused(str(reviewed), "+  spec.replicas: 2 -> 1")
    refused(document["digest"], f"reviewed: {document['digest']}", "  spec.replicas: 2 -> 1")
    main.project.kubectl("scale", "deployment/addressbook-stable", "-n", NAMESPACE, "--replicas=1")
    main.project.pulumi("config", "set", "--path", "environment.GREETING", "another merge")
    main.project.pulumi("config", "set", "stableImage", main.image)
    refused(str(reviewed), "another merge", "+", f'{stable.partition("@")[2]}" -> ', main.digest)
    main.git("checkout", "--quiet", "--", ".")
    assert pods <= names(main.pods(NAMESPACE)), "nothing else was replaced"

    main.promotion("up", "--stack", STACK, "--expect", str(reviewed))
    assert main.project.outputs()["traffic"] == "stable"
    assert main.git("status", "--porcelain") == ""


def test_saved_plan_binds_the_engine_and_hides_secrets(main: Repository, tmp_path: Path):
    """What `up --expect` relies on."""
    plan, before = tmp_path / "plan.json", main.project.outputs()
    main.project.configure(traffic="split")
    main.project.pulumi("preview", "--refresh", "--save-plan", str(plan))
    assert main.password() not in plan.read_text()
    assert '"ciphertext"' in plan.read_text()
    main.project.configure(traffic="canary")
    refused = main.project.up("--refresh", "--plan", str(plan), check=False)
    assert refused.returncode != 0
    assert "violates plan" in refused.stdout + refused.stderr
    assert main.project.outputs() == before


def test_policy_violation_stops_before_any_change(main: Repository):
    before, pods = main.resources(), names(main.pods(NAMESPACE))
    main.git("switch", "--quiet", "--create", "unlimited")
    running = main.project.folder / "components" / "container_defaults.py"
    assert LIMIT in running.read_text()
    running.write_text(running.read_text().replace(LIMIT, ""))
    # This change is allowed, and would be applied first: variables come before pods.
    main.project.pulumi("config", "set", "--path", "environment.GREETING", "hello")
    main.git("commit", "--quiet", "--all", "--message", "no limits, and a greeting")

    comment = main.preview(check=2)
    assert "The preview failed. If this were merged, the update would change nothing." in comment
    assert "container-limits" in comment

    refused = main.up(check=None)
    assert refused.returncode != 0, "the update went through"
    assert "container-limits" in refused.stdout + refused.stderr
    assert main.resources() == before
    assert names(main.pods(NAMESPACE)) == pods


def test_two_branch_stacks_run_and_the_expired_one_goes(main: Repository):
    # One runs the image that CI tested, as staging does; the other builds the checkout.
    expires = ("--expires-in", "3d")
    wanted = (("--name", "one", "--image", main.image, *expires), ("--name", "two", *expires))
    with ThreadPoolExecutor() as both:
        done = list(both.map(lambda each: main.promotion("stack", "--platform", STACK, *each), wanted))
    assert main.digests(BRANCHES["one"], "stable") == {main.digest}
    apis: dict[str, Api] = {}
    for name, created in zip(BRANCHES, done, strict=True):
        url = replace(main.project, stack=name).outputs()["url"]
        assert url in created.stdout
        apis[name] = Api(url)
        apis[name].store(f"of-{name}", "Lovelace")

    for arguments, reason in (
        (("stack", "--platform", STACK, "--name", "one"), "Pulumi.one.yaml already exists"),
        (("unstack", "--name", STACK), "is not a release stack"),
    ):
        assert reason in main.promotion(*arguments, check=2).stderr

    others = {namespace: names(main.pods(namespace)) for namespace in (NAMESPACE, BRANCHES["two"])}
    (main.project.folder / "Pulumi.one.yaml").unlink()  # as in CI, where no checkout has the file
    assert "no release stack has expired" in main.promotion("unstack", "--expired").stdout
    main.promotion("stack", "--platform", STACK, *wanted[0][:4], "--update", "--expires-in", "1s")  # a second push
    assert apis["one"].call("GET", "/all")[0] == 200, "it keeps its address and its data"
    main.promotion("unstack", "--expired")
    assert not (main.project.folder / "Pulumi.one.yaml").exists()
    stacks = json.loads(main.project.run("pulumi", "stack", "ls", "--json").stdout)
    assert {each["name"] for each in stacks} == {STACK, "two"}
    assert main.project.kubectl("get", "namespace", BRANCHES["one"], check=False).returncode != 0
    assert {namespace: names(main.pods(namespace)) for namespace in others} == others
    status, people = apis["two"].call("GET", "/all")
    assert (status, [person["firstName"] for person in people]) == (200, ["of-two"])
