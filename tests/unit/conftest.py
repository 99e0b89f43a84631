"""The program under Pulumi's mocks, with every registration recorded as the engine receives it."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import yaml
from pulumi.output import Unknown
from pulumi.runtime import mocks, rpc
from pulumi.runtime import resource as registrations
from pulumi.runtime.proto import source_pb2

from contract.project import declared_defaults
from stacks.platform_reference import READ_OUTPUTS

ROOT = Path(__file__).resolve().parents[2]
IMAGE_DIGEST = "sha256:" + "ab" * 32

LOCAL = {"cloud": "local", "kubeContext": "kind-kind", "registry": "localhost:5001"}

Computed = dict[str, Callable[[mocks.MockResourceArgs], dict[str, Any]]]

#: Properties that providers compute, by resource type. The rest of a resource's state is its inputs.
COMPUTED: Computed = {
    "random:index/randomPassword:RandomPassword": lambda args: {
        "result": pulumi.Output.secret(f"password of {args.name}")
    },
    "docker:index/image:Image": lambda args: {
        "repoDigest": f"{args.inputs['imageName'].rpartition(':')[0]}@{IMAGE_DIGEST}"
    },
    "kubernetes:core/v1:Secret": lambda args: {
        "metadata": {"name": f"{args.name}-generated", **args.inputs["metadata"]}
    },
    "kubernetes:core/v1:Service": lambda args: {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}},
}


# The SDK sends the engine the source position of each frame above a registration. Under pytest that is 60 frames, and
# takes a fifth of the tests' time.
cast(Any, registrations)._get_stack_trace = source_pb2.StackTrace


@dataclass
class Cloud:
    """The answers of a simulated cloud."""

    #: Computed properties, by resource type.
    computed: Computed = field(default_factory=lambda: dict(COMPUTED))
    #: Results, by function.
    functions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(
        default_factory=lambda: {READ_OUTPUTS: lambda args: {"name": args["name"], "outputs": {}}}
    )
    #: If false, every output is unknown, as in a preview of an empty stack.
    created: bool = True


@dataclass
class Registered:
    """One registered resource. ``inputs`` are without the engine's secret markers; ``secret_paths`` lists those."""

    type: str
    name: str
    urn: str
    parent: str
    provider: str
    custom: bool
    inputs: dict[str, Any]
    secret_paths: set[str]
    dependencies: list[str]
    options: Any


@dataclass
class Graph:
    """Everything that a program registered, in order, and its outputs. Unknown values of a preview are Unknown."""

    resources: list[Registered] = field(default_factory=list[Registered])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    def all(self, kind: str) -> list[Registered]:
        """Return the resources whose type ends in ``kind``."""
        return [resource for resource in self.resources if resource.type.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> Registered:
        """Return the only resource of that kind and, if given, Kubernetes or Pulumi name."""
        matches = [
            resource
            for resource in self.all(kind)
            if name in (None, resource.name, resource.inputs.get("metadata", {}).get("name"))
        ]
        assert len(matches) == 1, f"{len(matches)} of {kind} {name or ''}: {[r.urn for r in self.resources]}"
        return matches[0]


class _Providers(mocks.Mocks):
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return self.cloud.functions[args.token](args.args)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not self.cloud.created:
            return None, {}
        computed = self.cloud.computed.get(args.typ, lambda _: {})(args)
        return (f"{args.name}-id" if args.custom else None), {**args.inputs, **computed}


class _Recorder(mocks.MockMonitor):
    def __init__(self, graph: Graph, cloud: Cloud) -> None:
        super().__init__(_Providers(cloud))
        self.graph = graph

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            plain = rpc.deserialize_properties(request.object, keep_unknowns=True)
            secrets: set[str] = set()
            self.graph.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    provider=request.provider,
                    custom=request.custom,
                    inputs=_unwrapped(plain, "", secrets),
                    secret_paths=secrets,
                    dependencies=list(request.dependencies),
                    options=request,
                )
            )
        return response


def _unwrapped(value: Any, path: str, secrets: set[str]) -> Any:
    """Return the value without secret wrappers; add their paths to ``secrets``."""
    if rpc.is_rpc_secret(value):
        secrets.add(path)
        return _unwrapped(rpc.unwrap_rpc_secret(value), path, secrets)
    if isinstance(value, dict):
        return {key: _unwrapped(inner, f"{path}.{key}".lstrip("."), secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unwrapped(inner, f"{path}[{index}]", secrets) for index, inner in enumerate(value)]
    return value


def declared(cloud: Cloud, /, preview: bool = False, secret_keys: tuple[str, ...] = (), **config: Any) -> Graph:
    """Return what ``__main__.py`` registers and exports with a config."""
    values = declared_defaults() | LOCAL | config
    pulumi.runtime.set_all_config(
        {
            key if ":" in key else f"addressbook:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        },
        [f"addressbook:{key}" for key in secret_keys],
    )
    graph = Graph()
    mocks.set_mocks(
        _Providers(cloud), project="addressbook", stack="test", preview=preview, monitor=_Recorder(graph, cloud)
    )

    exported: dict[str, Any] = cast(Any, pulumi.runtime.get_root_resource()).outputs
    exported.clear()  # the process has one stack resource, which keeps earlier exports

    @pulumi.runtime.test
    def program() -> Any:
        runpy.run_path(str(ROOT / "__main__.py"))

        async def read() -> None:
            graph.outputs.update(await _read(exported))

        return pulumi.Output.from_input(read())

    program()
    return graph


async def _read(exported: Any) -> Any:
    """Return an export as the engine receives it, with unknown parts as Unknown."""
    if isinstance(exported, dict):
        return {key: await _read(inner) for key, inner in exported.items()}
    output = pulumi.Output.from_input(exported)
    return await output.future() if await output.is_known() else Unknown()


@pytest.fixture(autouse=True)
def no_cached_identity() -> None:
    """Ask AWS who is calling anew in each test."""
    if account := sys.modules.get("components.aws.account"):  # other clouds' stacks must not import it
        account.caller_identity.cache_clear()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a kubeconfig with the context ``kind-kind``, whose cluster does not exist."""
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({"contexts": [{"name": "kind-kind"}]}))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


@pytest.fixture
def cloud() -> Cloud:
    """Return the simulated cloud. Tests of clouds other than the local one add to it."""
    return Cloud()


@pytest.fixture
def declare(kubeconfig: Path, cloud: Cloud) -> Iterator[Callable[..., Graph]]:
    """Provide a function that runs ``__main__.py`` with a config and returns its graph."""
    yield partial(declared, cloud)
    pulumi.runtime.set_all_config({})
