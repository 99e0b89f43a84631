"""A release stack on another stack's platform: what it creates, and the errors if it cannot."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pulumi
import pytest
import yaml

from components import cleanup_on_destroy
from components.cleanup_on_destroy import CleanupOnDestroyProvider
from components.namespace import PLATFORM_LABEL
from promotion.state.unfinished_stack import NAMESPACE, unfinished_config
from stacks.platform_reference import OUTPUT, READ_OUTPUTS, database_name

Declare = Callable[..., Any]
#: Changes to the fixture's local stack that make it a release stack.
RELEASE = {"platformStack": "plat", "namespace": "branch-one", "kubeContext": "", "registry": ""}


class Refused(grpc.RpcError):
    """The engine's answer to a failed call."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._message = message

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self._message


@pytest.fixture
def platform(declare: Declare, cloud: Any) -> dict[str, Any]:
    """Return the outputs of a platform stack, which the engine then has as those of stack `plat`."""
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
    """Provide a function that returns the error of an invalid config, after checking that nothing was registered."""

    def refused(**config: Any) -> str:
        graphs: list[Any] = []
        with pytest.raises(pulumi.RunError) as raised:
            graphs.append(declare(**RELEASE | config))
        assert not graphs
        return str(raised.value)

    return refused


def test_the_platform_output_is_secret(declare: Declare):
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


def test_a_release_stack_creates_namespace_database_release(declare: Declare, platform: dict[str, Any]):
    stack = declare(**RELEASE)
    kinds = [each.type.rpartition(":")[2] for each in stack.resources]
    assert "StatefulSet" not in kinds
    assert "PersistentVolumeClaim" not in kinds
    namespace = stack.one("Namespace").inputs["metadata"]
    assert namespace["name"] == "branch-one"
    assert namespace["labels"][PLATFORM_LABEL] == "platform"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    image = stack.one("Image").inputs["imageName"]
    assert image.startswith("localhost:5001/addressbook:")
    assert stack.one("kubernetes").inputs["context"] == "kind-kind"


def test_a_temporary_stacks_namespace_says_when_it_ends(declare: Declare, platform: dict[str, Any]):
    assert "annotations" not in declare(**RELEASE).one("Namespace").inputs["metadata"]
    metadata = declare(**RELEASE, expires="2999-01-01T00:00Z").one("Namespace").inputs["metadata"]
    assert unfinished_config({"resources": [{"type": NAMESPACE, "inputs": {"metadata": metadata}}]}) == {
        "platformStack": RELEASE["platformStack"],
        "namespace": "branch-one",
        "expires": "2999-01-01T00:00Z",
    }


def test_a_release_stack_uses_only_its_own_namespace(declare: Declare, platform: dict[str, Any]):
    stack = declare(**RELEASE)
    objects = [each for each in stack.resources if each.type.startswith("kubernetes:") and each.name != "namespace"]
    assert len(objects) > 8
    assert {each.inputs["metadata"]["namespace"] for each in objects} == {"branch-one"}


def test_a_release_stack_uses_its_own_database(declare: Declare, platform: dict[str, Any]):
    stack = declare(**RELEASE)
    data = stack.one("Secret", "db-params").inputs["data"]
    values = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert values["DB_SCHEMA"] == values["DB_USER"] == "release_branch_one"
    assert values["DB_HOST"] == platform[OUTPUT]["database"]["host"]
    assert values["DB_PASSWORD"] == "password of database-password"
    cleanup = stack.one("CleanupOnDestroy")
    job = stack.one("Job", "database")
    assert job.urn in cleanup.dependencies, "the clean-up copies this Job"
    assert cleanup.urn in stack.one("Secret", "db-params").dependencies, (
        "otherwise destroy drops the database before its users"
    )


def test_the_administrators_password_is_a_secret_everywhere(declare: Declare, platform: dict[str, Any]):
    stack = declare(**RELEASE)
    password = platform[OUTPUT]["database"]["administrator_password"]

    def paths(value: Any, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [leaf for key, inner in value.items() for leaf in paths(inner, f"{path}.{key}".lstrip("."))]
        return [path] if value == password else []

    holders = [(each, path) for each in stack.resources for path in paths(each.inputs)]
    assert holders
    for holder, path in holders:
        assert any(path == secret or path.startswith(f"{secret}.") for secret in holder.secret_paths), (
            holder.urn,
            path,
        )


def test_the_platforms_database_admits_release_namespaces(declare: Declare):
    policy = declare(namespace="platform").one("NetworkPolicy", "addressbook-db").inputs
    (rule,) = policy["spec"]["ingress"]
    assert {"namespaceSelector": {"matchLabels": {PLATFORM_LABEL: "platform"}}} in rule["from"]


def test_two_namespaces_never_share_a_database():
    assert database_name("a-b") == "release_a_b"
    assert len(database_name("n" * 39)) <= 63, "PostgreSQL truncates longer names"


def test_an_unknown_platform_stack_is_refused(refusal: Callable[..., str]):
    message = refusal(platformStack="nope")
    assert "platformStack = 'nope': there is no such stack" in message


def test_a_stack_without_a_platform_is_refused(refusal: Callable[..., str], platform: dict[str, Any]):
    del platform[OUTPUT]
    assert "platformStack = 'plat': has no platform to share" in refusal()


def test_a_platform_of_another_version_is_refused(refusal: Callable[..., str], platform: dict[str, Any]):
    del platform[OUTPUT]["database"]["administrator"]
    assert "was last updated by another version of the program" in refusal()


def test_a_platform_on_another_cloud_is_refused(refusal: Callable[..., str], platform: dict[str, Any]):
    platform[OUTPUT]["cloud"] = "gcp"
    assert "platformStack = 'plat': is on cloud `gcp`" in refusal()


def test_the_platforms_own_namespace_is_refused(refusal: Callable[..., str]):
    assert "namespace = 'platform': belongs to the platform's own stack" in refusal(namespace="platform")


def test_platform_keys_are_refused(refusal: Callable[..., str]):
    message = refusal(kubeContext="kind-kind", nodeCount=5)
    assert "kubeContext = 'kind-kind': a stack on the platform of `plat` does not use this key" in message
    assert "nodeCount = '5': a stack on the platform of `plat` does not use this key" in message


@pytest.mark.parametrize("name", ["a b", "organization/plat", "a/b/c/d", "/x/y"])
def test_an_invalid_stack_reference_is_refused(refusal: Callable[..., str], name: str):
    assert f"platformStack = '{name}'" in refusal(platformStack=name)


def test_a_missing_context_is_refused(refusal: Callable[..., str], kubeconfig: Any):
    kubeconfig.write_text(yaml.safe_dump({"contexts": [{"name": "another"}]}))
    message = refusal()
    assert "platformStack = 'plat': is on context `kind-kind`; no such context" in message


#: Properties of a clean-up resource in the state.
PROPS = {"subject": "database x", "job": "made-1", "__provider": "p"}


class TestCleanupOnDestroy:
    """The engine's calls of the resource that drops the database."""

    def test_a_new_job_is_an_update(self):
        difference = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "job": "made-2"})
        assert (difference.changes, difference.replaces) == (True, [])

    def test_another_database_is_a_replacement(self):
        difference = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "subject": "database y"})
        assert (difference.changes, difference.replaces) == (True, ["subject"])

    def test_another_server_drops_no_database(self):
        former = {**PROPS, "server": "lost.example"}  # as earlier versions recorded it
        assert not CleanupOnDestroyProvider().diff("id", former, PROPS).changes
        assert not CleanupOnDestroyProvider().diff("id", former, {**former, "server": "restored.example"}).replaces

    def test_another_provider_reference_is_no_change(self):
        difference = CleanupOnDestroyProvider().diff("id", PROPS, {**PROPS, "__provider": "another"})
        assert (difference.changes, difference.replaces) == (False, [])

    def test_the_clean_up_gets_as_long_as_the_original(self, monkeypatch: pytest.MonkeyPatch):
        created: list[Any] = []
        complete = SimpleNamespace(type="Complete", status="True")
        container = SimpleNamespace(args=[])
        template = SimpleNamespace(
            metadata=SimpleNamespace(labels={"app": "a"}), spec=SimpleNamespace(containers=[container])
        )

        class Jobs:
            def __init__(self, _: Any) -> None: ...

            def read_namespaced_job(self, *_: Any, **__: Any) -> Any:
                spec = SimpleNamespace(template=template, active_deadline_seconds=600)
                return SimpleNamespace(spec=spec, status=SimpleNamespace(conditions=[complete]))

            def create_namespaced_job(self, _: str, body: Any, **__: Any) -> Any:
                created.append(body)
                return SimpleNamespace(metadata=SimpleNamespace(name="made-1-final-x"))

            def delete_namespaced_job(self, *_: Any, **__: Any) -> None: ...

        monkeypatch.setattr("kubernetes.client.BatchV1Api", Jobs)
        monkeypatch.setattr(cleanup_on_destroy, "api_client", lambda *_: None)
        props = {**PROPS, "context": "", "kubeconfig": "", "namespace": "n", "args": ["drop"], "byHand": ""}
        CleanupOnDestroyProvider().delete("id", props)
        assert created[0]["spec"]["activeDeadlineSeconds"] == 600
        assert container.args == ["drop"]

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

    def test_an_unreachable_cluster_is_an_error(self, unreachable: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("PULUMI_K8S_DELETE_UNREACHABLE", raising=False)
        with pytest.raises(RuntimeError, match=r"database x was not removed: its cluster does not answer"):
            CleanupOnDestroyProvider().delete("id", unreachable)

    def test_a_deleted_cluster_can_be_skipped(self, unreachable: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
        CleanupOnDestroyProvider().delete("id", unreachable)
