"""The engine's gRPC calls, answered by a `Provider`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from typing_extensions import override

from lab.plugins.difference import Difference, format_path
from lab.plugins.properties import Properties, from_struct, keep_secret, plain, to_struct
from lab.plugins.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from lab.plugins.provider import Failure, InitializationFailed, Provider, ProviderError, Resource

Handler = TypeVar("Handler", bound=Callable[..., Any])


def _reporting_errors(handler: Handler) -> Handler:
    """Turn an exception of a hook into a gRPC status with a message for the user."""

    @wraps(handler)
    def call(self: Servicer, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return handler(self, request, context)
        except InitializationFailed as error:
            _abort_initialization(error, request, context)
        except ProviderError as error:
            # After UNKNOWN or INTERNAL the engine would assume that the resource may exist.
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:
            urn = getattr(request, "urn", "")
            self.provider.engine.debug(traceback.format_exc(), urn)
            message = (
                f"The lab's stand-in for {self.provider.name} has a bug: {handler.__name__} of {urn or 'the provider'} "
                f"raised {type(error).__name__}: {error}. `pulumi --debug` shows the traceback."
            )
            context.abort(grpc.StatusCode.UNKNOWN, message)

    return cast(Handler, call)


def _abort_initialization(error: InitializationFailed, request: Any, context: grpc.ServicerContext) -> NoReturn:
    given = getattr(request, "properties" if isinstance(request, provider_pb2.CreateRequest) else "news", None)
    outputs = keep_secret(error.outputs, from_struct(given)) if given is not None else error.outputs
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.id,
            properties=to_struct(outputs),
            inputs=None if error.inputs is None else to_struct(error.inputs),
            reasons=error.reasons,
        )
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=cast("tuple[int, str]", code.value)[0], message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, str(error))


def _top_level(paths: Iterable[Sequence[str | int]]) -> list[str]:
    return sorted({str(path[0]) for path in paths if path})


def _diff_response(changes: Difference) -> provider_pb2.DiffResponse:
    detailed: dict[str, provider_pb2.PropertyDiff] = {}
    for path in [*changes.paths, *(changes.replace - changes.paths.keys())]:
        kind = changes.paths.get(path, "update") + ("_replace" if path in changes.replace else "")
        detailed[format_path(path)] = provider_pb2.PropertyDiff(
            kind=provider_pb2.PropertyDiff.Kind.Value(kind.upper()), inputDiff=True
        )
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=_top_level([*changes.paths, *changes.replace]),
        replaces=_top_level(changes.replace),
        deleteBeforeReplace=changes.delete_before_replace,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def _check_failures(failures: Iterable[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=each.property, reason=each.reason) for each in failures]


def _resource(request: Any) -> Resource:
    kind = request.type or request.urn.split("::")[2].rpartition("$")[2]
    return Resource(
        urn=request.urn,
        type=kind,
        name=request.name or request.urn.rpartition("::")[2],
        id=getattr(request, "id", ""),
        preview=getattr(request, "preview", False),
        timeout=getattr(request, "timeout", 0.0),
        ignored=tuple(getattr(request, "ignoreChanges", ())),
        random_seed=getattr(request, "randomSeed", b""),
        **_naming(request),
    )


def _naming(request: Any) -> dict[str, Any]:
    if not isinstance(request, provider_pb2.CheckRequest) or not request.HasField("autonaming"):
        return {}
    options = request.autonaming
    disabled = options.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE
    return {"proposed_name": options.proposed_name, "must_be_named": disabled}


def _struct(outputs: Properties, inputs: Properties) -> struct_pb2.Struct:
    return to_struct(keep_secret(outputs, inputs))


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine's calls with a provider's hooks."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @override
    @_reporting_errors
    def Handshake(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.ProviderHandshakeResponse:
        # A plugin under a debugger survives the engine that cancelled it.
        self.provider.cancelled.clear()
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True,
            supports_autonaming_configuration=self.provider.supports_autonaming,
        )

    @override
    @_reporting_errors
    def Attach(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.provider.engine.attach(request.address)
        return empty_pb2.Empty()

    @override
    @_reporting_errors
    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    @override
    @_reporting_errors
    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=self.provider.schema())

    @override
    @_reporting_errors
    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        checked = self.provider.check_configuration(from_struct(request.olds), from_struct(request.news))
        return provider_pb2.CheckResponse(inputs=to_struct(checked.inputs), failures=_check_failures(checked.failures))

    @override
    @_reporting_errors
    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        old = from_struct(request.old_inputs if request.HasField("old_inputs") else request.olds)
        return _diff_response(self.provider.diff_configuration(old, from_struct(request.news)))

    @override
    @_reporting_errors
    def Configure(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.ConfigureResponse:
        self.provider.configure(cast(Properties, plain(from_struct(request.args))))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            supports_autonaming_configuration=self.provider.supports_autonaming,
        )

    @override
    @_reporting_errors
    def Check(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        new = from_struct(request.news)
        checked = self.provider.check(_resource(request), from_struct(request.olds), new)
        return provider_pb2.CheckResponse(
            inputs=_struct(checked.inputs, new), failures=_check_failures(checked.failures)
        )

    @override
    @_reporting_errors
    def Diff(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        changes = self.provider.diff(
            _resource(request),
            from_struct(request.old_inputs),
            from_struct(request.olds),
            from_struct(request.news),
        )
        return _diff_response(changes)

    @override
    @_reporting_errors
    def Create(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        inputs = from_struct(request.properties)
        created = self.provider.create(_resource(request), inputs)
        return provider_pb2.CreateResponse(id=created.id, properties=_struct(created.outputs, inputs))

    @override
    @_reporting_errors
    def Read(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        inputs, outputs = from_struct(request.inputs), from_struct(request.properties)
        found = self.provider.read(_resource(request), inputs, outputs)
        if found is None:
            return provider_pb2.ReadResponse()  # An empty id means that it does not exist.
        return provider_pb2.ReadResponse(
            id=found.id,
            # A value that is secret in the state stays secret when it has changed.
            properties=_struct(keep_secret(found.outputs, outputs), inputs),
            inputs=_struct(found.inputs, inputs),
        )

    @override
    @_reporting_errors
    def Update(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        old_inputs, old_outputs = from_struct(request.old_inputs), from_struct(request.olds)
        new = from_struct(request.news)
        outputs = self.provider.update(_resource(request), old_inputs, old_outputs, new)
        return provider_pb2.UpdateResponse(properties=_struct(outputs, new))

    @override
    @_reporting_errors
    def Delete(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.provider.delete(_resource(request), from_struct(request.old_inputs), from_struct(request.properties))
        return empty_pb2.Empty()

    @override
    @_reporting_errors
    def Invoke(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        result = self.provider.invoke(request.tok, from_struct(request.args), request.preview)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result))
        return response

    @override
    @_reporting_errors
    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.provider.cancelled.set()
        self.provider.cancel()
        return empty_pb2.Empty()
