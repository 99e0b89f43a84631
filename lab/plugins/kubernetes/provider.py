"""The provider: what the engine asks for, done with objects on the cluster."""

from __future__ import annotations

from lab.plugins.difference import Difference
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import checking, comparing, configuration
from lab.plugins.kubernetes.awaiting import Look, NotReady, Progress, timeout_of, until_gone, until_ready
from lab.plugins.kubernetes.cluster import ApiError, Cluster, NoSuchKind, Unreachable
from lab.plugins.kubernetes.kubeconfig import KubeconfigError, log_in
from lab.plugins.kubernetes.objects import (
    FIELD_MANAGER,
    INITIAL_API_VERSION,
    PATCH_FIELD_MANAGER,
    annotation,
    checkpoint,
    foretell,
    hide_secrets,
    importable,
    name_of,
    namespace_of,
    normalize,
    parse_checkpoint,
    parse_id,
    prune,
    resource_id,
    to_object,
    type_to_kind,
    unique_name,
)
from lab.plugins.kubernetes.readiness import readiness, readiness_at_refresh, skips_deletion
from lab.plugins.kubernetes.writing import Conflict, Writer
from lab.plugins.properties import Properties, contains_unknown
from lab.plugins.provider import Checked, Created, InitializationFailed, Provider, ProviderError, Read, Resource

CLIENT_SIDE_MANAGER = "pulumi-kubernetes"
MINIMUM_VERSION = (1, 13)
FORGET_HINT = (
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the "
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)


class KubernetesProvider(Provider):
    """Stand-in for pulumi-kubernetes: any kind that the API server serves, custom resources included."""

    name = "kubernetes"
    version = "4.34.2"
    supports_autonaming = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.settings = configuration.Settings()
        self.cluster: Cluster | None = None
        self.unreachable = "the provider is not configured"

    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        del old
        return Checked(new, configuration.failures(new))

    def diff_configuration(self, old: Properties, new: Properties) -> Difference:
        return configuration.compare(old, new)

    def configure(self, configuration: Properties) -> None:
        """Log in. A cluster that can't be reached is no error yet: a preview goes on without it."""
        self.configuration = {key: value for key, value in configuration.items() if value not in (None, "")}
        self._set(self.configuration)
        try:
            login = log_in(self.configuration)
            self._set({"namespace": login.namespace, **self.configuration})
            cluster = Cluster(login)
            version = cluster.version()
        except (KubeconfigError, Unreachable) as error:
            self._go_without_cluster(str(error))
            return
        except ApiError as error:
            self._go_without_cluster(f"the login is refused: {error}")
            return
        if version < MINIMUM_VERSION:
            raise ProviderError(f"Kubernetes {version[0]}.{version[1]} is too old: 1.13 is the oldest supported.")
        self.cluster = cluster

    def _go_without_cluster(self, reason: str) -> None:
        self.unreachable = reason
        self.engine.warning(f"configured Kubernetes cluster is unreachable: {reason}")

    def _set(self, arguments: Properties) -> None:
        self.settings = configuration.settings(arguments)

    def _reach(self) -> Cluster:
        if self.cluster is None:
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self.cluster

    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        if self.cluster is None and self.settings.skip_update_unreachable and old:
            self.engine.warning(f"left as it is: the cluster is unreachable ({self.unreachable})", resource.urn)
            return Checked(old)
        try:
            return checking.check(self.settings, self.cluster, resource, old, new)
        except (ApiError, Unreachable) as error:
            raise ProviderError(f"{resource.urn!r} can't be checked: {error}") from None

    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        del old_inputs  # The outputs hold them as well, and together with the object that came of them.
        try:
            return comparing.compare(self.settings, self.cluster, resource, old_outputs, new)
        except (ApiError, Unreachable) as error:
            raise ProviderError(f"{resource.urn!r} can't be compared: {error}") from None

    def _field_manager(self, state: Properties, inputs: Properties) -> str:
        if not self.settings.mode.server_side_apply:
            return CLIENT_SIDE_MANAGER
        stored = state.get(FIELD_MANAGER)
        return annotation(inputs, PATCH_FIELD_MANAGER) or stored or unique_name("pulumi-kubernetes", b"")

    def _writer(self, field_manager: str, resource: Resource) -> Writer:
        return Writer(self._reach(), self.settings.mode, field_manager, dry_run=resource.preview)

    def _progress(self, resource: Resource) -> Progress:
        return Progress(lambda text: self.engine.status(text, resource.urn))

    def _served(self, obj: Properties) -> bool:
        return self.cluster is not None and self.cluster.serves(obj["apiVersion"], obj["kind"])

    def create(self, resource: Resource, inputs: Properties) -> Created:
        obj = to_object(inputs)
        can_dry_run = self.settings.mode.server_side_apply and not contains_unknown(obj) and self._served(obj)
        if resource.preview and not can_dry_run:
            return Created("", inputs)
        field_manager = self._field_manager({}, obj)
        try:
            made = self._writer(field_manager, resource).create(obj, self.cancelled)
        except (ApiError, NoSuchKind, Conflict, Unreachable) as error:
            if resource.preview and isinstance(error, ApiError) and error.tells_nothing:
                return Created("", inputs)
            raise ProviderError(
                f"resource {resource.urn!r} was not successfully created by the Kubernetes API server: {error}"
            ) from None
        if resource.preview:
            told = foretell(made, obj)
            return Created("", checkpoint(obj, told, inputs, obj["apiVersion"], field_manager))
        try:
            live = self._await(resource, obj, made)
        except NotReady as error:
            message = (
                f"resource {resource.urn!r} was successfully created, but the Kubernetes API server "
                f"reported that it failed to fully initialize or become live: {error}"
            )
            outputs = checkpoint(obj, error.live, inputs, obj["apiVersion"], field_manager)
            raise InitializationFailed(resource_id(made), outputs, [message, *error.reasons]) from None
        return Created(resource_id(live), checkpoint(obj, live, inputs, obj["apiVersion"], field_manager))

    def _await(self, resource: Resource, inputs: Properties, made: Properties) -> Properties:
        cluster = self._reach()
        look = readiness(cluster, inputs)
        if look is None:
            return made
        timeout = timeout_of(inputs, resource.timeout)
        return until_ready(cluster, made, look, timeout, self.cancelled, self._progress(resource))

    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        del old_inputs
        obj = normalize(to_object(new))
        if resource.preview and (contains_unknown(obj) or not self._served(obj)):
            return new
        before, old_live = parse_checkpoint(old_outputs)
        where = (obj["apiVersion"], obj["kind"], namespace_of(old_live), name_of(old_live))
        old_manager = self._field_manager(old_outputs, before)
        field_manager = self._field_manager(old_outputs, obj)
        marks = (old_outputs.get(INITIAL_API_VERSION) or obj["apiVersion"], field_manager)
        cluster, writer = self._reach(), self._writer(field_manager, resource)
        reasons: list[str] = []
        try:
            pruned = prune(old_live, normalize(before))
            live = writer.update(obj, cluster.get(*where), pruned, resource.ignored)
            if not resource.preview:
                live = self._await(resource, obj, live)
                if old_manager != field_manager:
                    self._writer(old_manager, resource).relinquish(live)
            return checkpoint(obj, live, new, *marks)
        except NotReady as error:
            failure, live, reasons = error, error.live, error.reasons
        except (NoSuchKind, Unreachable) as error:
            raise ProviderError(f"update of resource {resource.urn!r} failed: {error}") from None
        except (ApiError, Conflict) as error:
            if resource.preview and isinstance(error, ApiError) and error.status == 403:
                return new
            failure = error
            try:
                live = cluster.get(*where)
            except (ApiError, NoSuchKind, Unreachable):
                raise ProviderError(f"update of resource {resource.urn!r} failed: {error}") from None
        message = (
            f'the Kubernetes API server reported that "{resource_id(live)}" failed to fully initialize '
            f"or become live: {failure}"
        )
        raise InitializationFailed(resource_id(live), checkpoint(obj, live, new, *marks), [message, *reasons])

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        if self.cluster is None:
            return self._read_without_cluster(resource, inputs, outputs)
        namespace, name = parse_id(resource.id)
        before, old_live = normalize(to_object(inputs)), parse_checkpoint(outputs)[1]
        imported = not before.get("kind") and not old_live.get("kind")
        api_version, kind = type_to_kind(resource.type)
        api_version = before.get("apiVersion") or old_live.get("apiVersion") or api_version
        try:
            live = self.cluster.get(api_version, kind, namespace or namespace_of(before), name)
        except NoSuchKind:
            return None  # Its CustomResourceDefinition has gone, and it went along.
        except (ApiError, Unreachable) as error:
            if isinstance(error, ApiError) and error.not_found:
                return None
            raise ProviderError(f"{resource.id} can't be read: {error}") from None
        live_inputs = importable(live) if imported else prune(live, before)
        initial = outputs.get(INITIAL_API_VERSION) or api_version
        field_manager = self._field_manager(outputs, before)
        state = checkpoint(live_inputs, live, inputs, initial, field_manager)
        found = Read(resource.id, state, hide_secrets(live_inputs, inputs))
        _require_ready(None if imported else readiness_at_refresh(self.cluster, before), live, found)
        return found

    def _read_without_cluster(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read | None:
        self.engine.warning(f"configured Kubernetes cluster is unreachable: {self.unreachable}", resource.urn)
        if self.settings.delete_unreachable:
            self.engine.info("removed from the state: deleteUnreachable is set", resource.urn)
            return None
        if self.settings.skip_update_unreachable:
            self.engine.info("kept as the state has it: skipUpdateUnreachable is set", resource.urn)
            return Read(resource.id, outputs, inputs)
        raise ProviderError(f"failed to read resource state due to unreachable cluster. {FORGET_HINT}")

    def invoke(self, function: str, arguments: Properties, preview: bool) -> Properties:
        del arguments, preview
        raise ProviderError(f"{function}: {configuration.OFFICIAL_ONLY}.")

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        del inputs
        before, live = parse_checkpoint(outputs)
        if self.cluster is None:
            if self.settings.delete_unreachable:
                self.engine.info("removed from the state: deleteUnreachable is set", resource.urn)
                return
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self.unreachable}. {FORGET_HINT}")
        writer = self._writer(self._field_manager(outputs, before), resource)
        try:
            if writer.delete(live, before) and not skips_deletion(before):
                timeout = timeout_of(before, resource.timeout)
                until_gone(self.cluster, live, timeout, self.cancelled, self._progress(resource))
        except NotReady as error:
            raise ProviderError("; ".join([str(error), *error.reasons])) from None
        except (ApiError, Unreachable) as error:
            raise ProviderError(f"{resource.id} can't be deleted: {error}") from None


def _require_ready(look: Look | None, live: Properties, found: Read) -> None:
    """Report an object that is there but not ready, so that the next update waits for it again."""
    state = look(live) if look else None
    if state is None or state.ready:
        return
    reasons = [
        f"Resource '{name_of(live)}' was created but failed to initialize",
        *([state.failed] if state.failed else []),
        *state.problems(),
    ]
    raise InitializationFailed(found.id, found.outputs, reasons, found.inputs)
