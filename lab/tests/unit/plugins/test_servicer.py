"""The servicer of the provider stand-ins, over real gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2

from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Properties, Secret, Value, from_struct, to_struct
from lab.plugins.protocol import provider_pb2, provider_pb2_grpc, status_pb2
from lab.plugins.provider import Checked, Created, Failure, InitializationFailed, Provider, ProviderError, Resource
from lab.plugins.servicer import Servicer

URN = "urn:pulumi:dev::project::thing:index:Parent$thing:index:Thing::its-name"


class Things(Provider):
    """A provider whose input `mode` chooses how a create ends."""

    name, version = "things", "1.2.3"

    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        failures = [Failure("size", "must not be negative.")] if new["size"] < 0 else []
        return Checked({**new, "default": 1}, failures)

    def create(self, resource: Resource, inputs: Properties) -> Created:
        match inputs.get("mode"):
            case "refuse":
                raise ProviderError("the size is too big: choose a smaller one.")
            case "bug":
                raise KeyError("oops")
            case "half":
                raise InitializationFailed("id-1", {"token": "t"}, ["it never became ready"])
            case _:
                return Created("id-1", {"token": "t", "name": resource.name, "type": resource.type})


@pytest.fixture
def stub() -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """A client of a served `Things`."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(Things(Engine())), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None).wait()


def _create(**inputs: Value) -> provider_pb2.CreateRequest:
    return provider_pb2.CreateRequest(urn=URN, properties=to_struct(inputs))


def _refusal(call: Any, request: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value


def test_capabilities_and_version(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    handshake = stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    assert handshake.accept_secrets
    configured = stub.Configure(provider_pb2.ConfigureRequest())
    assert configured.acceptSecrets
    assert configured.supportsPreview
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"


def test_check_returns_defaults_and_failures(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    news = to_struct({"size": -1, "token": Secret("t")})
    response = stub.Check(provider_pb2.CheckRequest(urn=URN, news=news))
    assert from_struct(response.inputs) == {"size": -1, "token": Secret("t"), "default": 1}
    assert [(each.property, each.reason) for each in response.failures] == [("size", "must not be negative.")]


def test_secret_inputs_are_secret_outputs(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    response = stub.Create(_create(token=Secret("t"), other=Secret(UNKNOWN)))
    assert response.id == "id-1"
    assert from_struct(response.properties) == {
        "token": Secret("t"),
        "name": "its-name",
        "type": "thing:index:Thing",
    }


def test_refusal_means_nothing_was_created(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    error: Any = _refusal(stub.Create, _create(mode="refuse"))
    assert error.details() == "the size is too big: choose a smaller one."
    # After UNKNOWN the engine would keep a pending operation.
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_bug_says_what_and_where(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    error: Any = _refusal(stub.Create, _create(mode="bug"))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "stand-in for things has a bug: Create of urn:" in error.details()
    assert "KeyError" in error.details()
    assert "Traceback" not in error.details()


def test_uninitialized_resource_is_stored(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    error: Any = _refusal(stub.Create, _create(mode="half", token=Secret("t")))
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "id-1"
    assert list(detail.reasons) == ["it never became ready"]
    assert from_struct(detail.properties) == {"token": Secret("t")}


def test_difference_has_paths_and_kinds(stub: provider_pb2_grpc.ResourceProviderStub) -> None:
    same = stub.Diff(
        provider_pb2.DiffRequest(urn=URN, id="1", old_inputs=to_struct({"a": 1}), news=to_struct({"a": 1}))
    )
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    request = provider_pb2.DiffRequest(
        urn=URN, id="1", old_inputs=to_struct({"a": {"x.y": 1}}), news=to_struct({"a": {"x.y": 2}})
    )
    changed = stub.Diff(request)
    assert changed.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(changed.diffs) == ["a"]
    assert changed.detailedDiff['a["x.y"]'].kind == provider_pb2.PropertyDiff.UPDATE
