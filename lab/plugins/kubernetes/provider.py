"""The provider: the engine's calls, answered with objects on the cluster."""

from __future__ import annotations

from lab.plugins.difference import Difference
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import checking, comparing, configuration
from lab.plugins.kubernetes.awaiting import NotReadyError, Wait, timeout_of, until_gone, until_ready
from lab.plugins.kubernetes.cluster import ApiError, Cluster, UnreachableError
from lab.plugins.kubernetes.configuration import Settings
from lab.plugins.kubernetes.kinds import INSTALL_OFFICIAL, VERSION, covered
from lab.plugins.kubernetes.kubeconfig import KubeconfigError, log_in
from lab.plugins.kubernetes.objects import (
    FIELD_MANAGER,
    INITIAL_API_VERSION,
    checkpoint,
    hide_secrets,
    importable,
    name_of,
    namespace_of,
    normalize,
    parse_checkpoint,
    parse_id,
    predicted,
    prune,
    resource_id,
    to_object,
    unique_name,
)
from lab.plugins.kubernetes.readiness import readiness, readiness_at_refresh, skips_deletion
from lab.plugins.kubernetes.writing import ConflictError, Writer
from lab.plugins.properties import Properties, contains_unknown
from lab.plugins.provider import Checked, Created, InitializationFailed, Provider, ProviderError, Read, Resource

FORGET_HINT = (
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the "
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)


class KubernetesProvider(Provider):
    """Stand-in for the official provider, for the kinds that the program declares."""

    name = "kubernetes"
    version = VERSION
    supports_autonaming = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.settings = Settings()
        self.cluster: Cluster | None = None
        self.unreachable = "the provider is not configured"

    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        del old
        return Checked(new, configuration.failures(new))

    def diff_configuration(self, old: Properties, new: Properties) -> Difference:
        return configuration.compare(old, new)

    def configure(self, configuration: Properties) -> None:
        """Log in. A preview goes on without a cluster, so an unreachable one is only a warning here."""
        arguments = {key: value for key, value in configuration.items() if value not in (None, "")}
        self.settings = Settings.of(arguments)
        try:
            login = log_in(arguments)
            self.settings = Settings.of({"namespace": login.namespace, **arguments})
            cluster = Cluster(login)
            cluster.request("GET", "/version")
            self.cluster = cluster
        except (KubeconfigError, UnreachableError) as error:
            self.unreachable = str(error)
        except ApiError as error:
            self.unreachable = f"the API server refuses the login: {error}"
        if self.cluster is None:
            self.engine.warning(f"configured Kubernetes cluster is unreachable: {self.unreachable}")

    def _connected(self) -> Cluster:
        if self.cluster is None:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self.cluster

    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        return checking.check(self.settings, covered(resource.type), resource, old, new)

    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        del old_inputs  # The outputs hold the inputs too, next to the object they made.
        try:
            return comparing.compare(self.settings, self.cluster, old_outputs, new)
        except (ApiError, UnreachableError) as error:
            raise ProviderError(f"{resource.urn!r} cannot be compared: {error}") from None

    def _writer(self, field_manager: str, resource: Resource) -> Writer:
        return Writer(self._connected(), self.settings.patch_force, field_manager, dry_run=resource.preview)

    def _wait(self, resource: Resource, inputs: Properties) -> Wait:
        timeout = timeout_of(inputs, resource.timeout)
        return Wait(timeout, self.cancelled, lambda text: self.engine.status(text, resource.urn))

    def _await(self, resource: Resource, inputs: Properties, live: Properties) -> Properties:
        look = readiness(self._connected(), inputs)
        return live if look is None else until_ready(self._connected(), live, look, self._wait(resource, inputs))

    def create(self, resource: Resource, inputs: Properties) -> Created:
        obj = to_object(inputs)
        if resource.preview and (self.cluster is None or contains_unknown(obj)):
            return Created("", inputs)
        field_manager = unique_name("pulumi-kubernetes", b"")
        try:
            created = self._writer(field_manager, resource).create(obj, self.cancelled)
        except (ApiError, UnreachableError) as error:
            if resource.preview and isinstance(error, ApiError) and error.irrelevant_in_preview:
                return Created("", inputs)
            raise ProviderError(
                f"resource {resource.urn!r} was not successfully created by the Kubernetes API server: {error}"
            ) from None

        def outputs(live: Properties) -> Properties:
            return checkpoint(obj, live, inputs, obj["apiVersion"], field_manager)

        if resource.preview:
            return Created("", outputs(predicted(created, obj)))
        try:
            return Created(resource_id(created), outputs(self._await(resource, obj, created)))
        except NotReadyError as error:
            message = (
                f"resource {resource.urn!r} was successfully created, but the Kubernetes API server "
                f"reported that it failed to fully initialize or become live: {error}"
            )
            reasons = [message, *error.reasons]
            raise InitializationFailed(resource_id(created), outputs(error.live), reasons) from None

    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        del old_inputs
        obj = normalize(to_object(new))
        if resource.preview and (self.cluster is None or contains_unknown(obj)):
            return new
        old_live = parse_checkpoint(old_outputs)[1]
        field_manager = _field_manager(old_outputs)
        cluster, writer = self._connected(), self._writer(field_manager, resource)

        def outputs(live: Properties) -> Properties:
            return checkpoint(obj, live, new, old_outputs.get(INITIAL_API_VERSION) or obj["apiVersion"], field_manager)

        reasons: list[str] = []
        try:
            live = writer.update(obj, cluster.live(old_live))
            return outputs(live if resource.preview else self._await(resource, obj, live))
        except NotReadyError as error:
            failure, live, reasons = error, error.live, error.reasons
        except UnreachableError as error:
            raise ProviderError(f"update of resource {resource.urn!r} failed: {error}") from None
        except (ApiError, ConflictError) as error:
            if resource.preview and isinstance(error, ApiError) and error.status == 403:
                return new
            failure = error
            try:
                live = cluster.live(old_live)
            except (ApiError, UnreachableError):
                raise ProviderError(f"update of resource {resource.urn!r} failed: {error}") from None
        message = (
            f'the Kubernetes API server reported that "{resource_id(live)}" failed to fully initialize '
            f"or become live: {failure}"
        )
        raise InitializationFailed(resource_id(live), outputs(live), [message, *reasons])

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        kind = covered(resource.type)
        if self.cluster is None:
            return self._read_unreachable(resource)
        namespace, name = parse_id(resource.id)
        before = normalize(to_object(inputs))
        is_import = not before.get("kind") and not outputs.get("kind")
        try:
            live = self.cluster.get(kind.name, namespace or namespace_of(before), name)
        except (ApiError, UnreachableError) as error:
            if isinstance(error, ApiError) and error.not_found:
                return None
            raise ProviderError(f"{resource.id} cannot be read: {error}") from None
        live_inputs = importable(live) if is_import else prune(live, before)
        initial = outputs.get(INITIAL_API_VERSION) or kind.api_version
        state = checkpoint(live_inputs, live, inputs, initial, _field_manager(outputs))
        found = Read(resource.id, state, hide_secrets(live_inputs, inputs))
        if not is_import:
            _require_ready(self.cluster, before, live, found)
        return found

    def _read_unreachable(self, resource: Resource) -> None:
        """Report the resource as gone if the settings say so. Raises ProviderError otherwise."""
        self.engine.warning(f"configured Kubernetes cluster is unreachable: {self.unreachable}", resource.urn)
        if not self.settings.delete_unreachable:
            raise ProviderError(f"failed to read resource state due to unreachable cluster. {FORGET_HINT}")
        self.engine.info("removed from the state: deleteUnreachable is set", resource.urn)

    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        del arguments, preview
        raise ProviderError(f"The lab's stand-in has no function {function}. {INSTALL_OFFICIAL}")

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        del inputs
        covered(resource.type)
        before, live = parse_checkpoint(outputs)
        if self.cluster is None:
            if self.settings.delete_unreachable:
                self.engine.info("removed from the state: deleteUnreachable is set", resource.urn)
                return
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self.unreachable}. {FORGET_HINT}")
        try:
            if self._writer(_field_manager(outputs), resource).delete(live, before) and not skips_deletion(before):
                until_gone(self.cluster, live, self._wait(resource, before))
        except NotReadyError as error:
            raise ProviderError("; ".join([str(error), *error.reasons])) from None
        except (ApiError, UnreachableError) as error:
            raise ProviderError(f"{resource.id} cannot be deleted: {error}") from None


def _field_manager(outputs: Properties) -> str:
    return outputs.get(FIELD_MANAGER) or unique_name("pulumi-kubernetes", b"")


def _require_ready(cluster: Cluster, inputs: Properties, live: Properties, found: Read) -> None:
    """Report an object that is not ready as failed, so that the next update waits for it again."""
    look = readiness_at_refresh(cluster, inputs)
    state = look(live) if look else None
    if state is None or state.ready:
        return
    reasons = [
        f"Resource '{name_of(live)}' was created but failed to initialize",
        *([state.failed] if state.failed else []),
        *state.problems(),
    ]
    raise InitializationFailed(found.id, found.outputs, reasons, found.inputs)
