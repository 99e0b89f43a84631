"""A release stack on another stack's platform: what it makes, what it must not, and what is said when it can't."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import grpc
import pulumi
import pytest
import yaml

from components.cleanup_on_destroy import CleanupOnDestroyProvider
from components.namespace import PLATFORM_LABEL
from stacks.platform_reference import OUTPUT, READ_OUTPUTS, database_name

Declare = Callable[..., Any]
#: On top of the fixture's local stack: the platform's keys are the other stack's.
RELEASE = {"platformStack": "plat", "namespace": "branch-one", "kubeContext": "", "registry": ""}


class Refused(grpc.RpcError):
    """The engine's answer to a call that went wrong."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self._said = said

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self._said


@pytest.fixture
def platform(declare: Declare, cloud: Any) -> dict[str, Any]:
    """Outputs of a platform stack, which the engine then hands to whoever asks for stack `plat`."""
    outputs = dict(declare(namespace="platform").outputs)
    outputs[OUTPUT]["database"]["administrator_password"] = "of the administrator"

    def read(arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["name"] != "plat":
            raise Refused(f'invocation of {READ_OUTPUTS} returned an error: unknown stack "{arguments["name"]}"')
        return {"name": "plat", "outputs": outputs, "secretOutputNames": [OUTPUT]}

    cloud.functions[READ_OUTPUTS] = read
    return outputs


@pytest.fixture
def refusal(declare: Declare, platform: dict[str, Any]) -> Callable[..., str]:
    """The message for a wrong config, once it is shown that nothing was registered."""

    def refused(**config: Any) -> str:
        made: list[Any] = []
        with pytest.raises(pulumi.RunError) as raised:
            made.append(declare(**RELEASE | config))
        assert not made
        return str(raised.value)

    return refused


def test_the_platform_hands_over_all_of_it_as_a_secret(declare: Declare):
    declare(namespace="platform")
    exported = dict(pulumi.runtime.get_root_resource().outputs)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    checked: list[bool] = []

    @pulumi.runtime.test
    def look() -> Any:
        async def secret() -> None:
            checked.append(await exported[OUTPUT].is_secret())

        return pulumi.Output.from_input(secret())

    look()
    assert checked == [True]


def test_a_release_stack_makes_a_namespace_a_database_and_the_release(declare: Declare, platform: dict[str, Any]):
    made = declare(**RELEASE)
    kinds = [each.type.rpartition(":")[2] for each in made.resources]
    assert "StatefulSet" not in kinds
    assert "PersistentVolumeClaim" not in kinds
    namespace = made.one("Namespace").inputs["metadata"]
    assert namespace["name"] == "branch-one"
    assert namespace["labels"][PLATFORM_LABEL] == "platform"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    image = made.one("Image").inputs["imageName"]
    assert image.startswith("localhost:5001/addressbook:")
    assert made.one("kubernetes").inputs["context"] == "kind-kind"


def test_all_of_its_objects_are_in_its_own_namespace(declare: Declare, platform: dict[str, Any]):
    made = declare(**RELEASE)
    objects = [each for each in made.resources if each.type.startswith("kubernetes:") and each.name != "namespace"]
    assert len(objects) > 8
    assert {each.inputs["metadata"]["namespace"] for each in objects} == {"branch-one"}


def test_its_service_uses_its_own_database(declare: Declare, platform: dict[str, Any]):
    made = declare(**RELEASE)
    data = made.one("Secret", "db-params").inputs["data"]
    told = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert told["DB_SCHEMA"] == told["DB_USER"] == "release_branch_one"
    assert told["DB_HOST"] == platform[OUTPUT]["database"]["host"]
    assert told["DB_PASSWORD"] == "password of database-password"
    final = made.one("CleanupOnDestroy")
    job = made.one("Job", "database")
    assert job.urn in final.dependencies, "its Job runs the pods of the one that made the database"
    assert final.urn in made.one("Secret", "db-params").dependencies, "or the database would go before its users"


def test_the_administrators_password_is_a_secret_everywhere(declare: Declare, platform: dict[str, Any]):
    made = declare(**RELEASE)
    password = platform[OUTPUT]["database"]["administrator_password"]

    def paths(value: Any, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for key, inner in value.items() for found in paths(inner, f"{path}.{key}".lstrip("."))]
        return [path] if value == password else []

    holders = [(each, path) for each in made.resources for path in paths(each.inputs)]
    assert holders
    for holder, path in holders:
        assert any(path == secret or path.startswith(f"{secret}.") for secret in holder.secret_paths), (
            holder.urn,
            path,
        )


def test_the_platforms_database_lets_in_the_namespaces_of_its_release_stacks(declare: Declare):
    policy = declare(namespace="platform").one("NetworkPolicy", "addressbook-db").inputs
    (rule,) = policy["spec"]["ingress"]
    assert {"namespaceSelector": {"matchLabels": {PLATFORM_LABEL: "platform"}}} in rule["from"]


def test_two_namespaces_never_share_a_database():
    assert database_name("a-b") == "release_a_b"
    assert len(database_name("n" * 39)) <= 63, "PostgreSQL would cut it off"


def test_another_stack_that_is_not_there(refusal: Callable[..., str]):
    said = refusal(platformStack="nope")
    assert "platformStack = 'nope': there is no such stack" in said


def test_another_stack_without_a_platform(refusal: Callable[..., str], platform: dict[str, Any]):
    del platform[OUTPUT]
    assert "platformStack = 'plat': has no platform to share" in refusal()


def test_another_stack_of_an_older_version(refusal: Callable[..., str], platform: dict[str, Any]):
    del platform[OUTPUT]["database"]["administrator"]
    assert "in another form: bring it up" in refusal()


def test_a_platform_on_another_cloud(refusal: Callable[..., str], platform: dict[str, Any]):
    platform[OUTPUT]["cloud"] = "gcp"
    assert "platformStack = 'plat': is on cloud `gcp`" in refusal()


def test_the_platforms_own_namespace_is_not_for_a_release_stack(refusal: Callable[..., str]):
    assert "namespace = 'platform': is that of the platform's own stack" in refusal(namespace="platform")


def test_keys_of_the_platform_are_useless(refusal: Callable[..., str]):
    said = refusal(kubeContext="kind-kind", nodeCount=5)
    assert "kubeContext = 'kind-kind': a stack on the platform of `plat` has no use for it" in said
    assert "nodeCount = '5': a stack on the platform of `plat` has no use for it" in said


@pytest.mark.parametrize("name", ["a b", "organization/plat", "a/b/c/d", "/x/y"])
def test_what_names_no_stack(refusal: Callable[..., str], name: str):
    assert f"platformStack = '{name}'" in refusal(platformStack=name)


def test_a_context_that_this_machine_has_not(refusal: Callable[..., str], kubeconfig: Any):
    kubeconfig.write_text(yaml.safe_dump({"contexts": [{"name": "another"}]}))
    said = refusal()
    assert "platformStack = 'plat': is on context `kind-kind`; no such context" in said


#: Of a resource that drops a database, as the engine keeps them.
PROPS = {"subject": "database x", "server": "db.example", "job": "made-1", "__provider": "p"}


class TestFinalJob:
    """What the engine asks of the resource that drops the database."""

    def test_a_new_job_is_only_noted(self):
        found = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "job": "made-2"})
        assert (found.changes, found.replaces) == (True, [])

    def test_another_database_ends_the_old_one(self):
        found = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "subject": "database y"})
        assert (found.changes, found.replaces) == (True, ["subject"])

    def test_the_same_is_no_change(self):
        found = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "__provider": "another"})
        assert (found.changes, found.replaces) == (False, [])

    @pytest.fixture
    def unreachable(self) -> dict[str, Any]:
        cluster = {"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}}
        context = {"name": "gone", "context": {"cluster": "gone", "user": "nobody"}}
        document = {
            "current-context": "gone",
            "clusters": [cluster],
            "contexts": [context],
            "users": [{"name": "nobody", "user": {"token": "x"}}],
        }
        more = {"kubeconfig": yaml.safe_dump(document), "namespace": "n", "args": [], "byHand": "drop it"}
        return {**PROPS, **more}

    def test_a_cluster_that_does_not_answer(self, unreachable: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("PULUMI_K8S_DELETE_UNREACHABLE", raising=False)
        with pytest.raises(RuntimeError, match=r"database x is still there: its cluster does not answer"):
            CleanupOnDestroyProvider().delete("id", unreachable)

    def test_a_cluster_that_is_gone_for_good(self, unreachable: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
        CleanupOnDestroyProvider().delete("id", unreachable)
