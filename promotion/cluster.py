"""The cluster that a stack runs on: its Deployments and pods, and ways to a pod's ports and commands.

All of it goes through the API server, so it works for a remote cluster as for one on this machine, and no
NetworkPolicy has to let it in.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

import urllib3
import websocket
import yaml
from kubernetes import config as kubeconfigs
from kubernetes import stream as streams
from kubernetes.client import (
    ApiClient,
    AppsV1Api,
    Configuration,
    CoreV1Api,
    V1Container,
    V1Deployment,
    V1Pod,
)
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.stream.ws_client import ERROR_CHANNEL
from pulumi import automation

from promotion.faults import Fault

#: Parts of the client that come without types.
_streams: Any = streams
_kubeconfigs: Any = kubeconfigs

Track = Literal["stable", "canary"]

#: Seconds for one answer of the API server; a cluster that is asleep or behind a dead VPN must not hold a command up.
ANSWER_SECONDS = 20
#: Seconds a command in a pod may take.
COMMAND_SECONDS = 120
#: Annotation by which a Deployment and its current ReplicaSet know each other.
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"


#: Thread of the client that passes a port-forward's bytes on.
FORWARDER = "Kubernetes port forward proxy"


class Unreachable(Fault):
    """The cluster, or a pod in it, did not answer."""


@dataclass
class Cluster:
    """A stack's namespace on its cluster. Every method raises Unreachable when the API server does not answer it."""

    api: ApiClient
    namespace: str
    service: str

    def __post_init__(self) -> None:
        self.core = CoreV1Api(self.api)
        self.apps = AppsV1Api(self.api)

    @classmethod
    def of(cls, stack: automation.Stack) -> Cluster:
        """The cluster in the stack's outputs: a context of the user's kubeconfig, or a kubeconfig of its own.

        Raises Fault when the stack has no such outputs, or the cluster does not answer.
        """
        outputs = {name: output.value for name, output in stack.outputs().items()}
        missing = [name for name in ("namespace", "service") if not outputs.get(name)]
        if missing or not (outputs.get("kubeContext") or outputs.get("kubeconfig")):
            raise Fault(
                f"stack `{stack.name}` does not say where it runs: `python -m promotion up --stack {stack.name}`"
                " brings it up and its outputs up to date"
            )
        configuration = _configuration(stack.name, outputs.get("kubeContext"), outputs.get("kubeconfig"))
        cluster = cls(_Client(configuration), str(outputs["namespace"]), str(outputs["service"]))
        cluster.deployment("stable")  # an unreachable cluster is said now, and once
        return cluster

    def deployment(self, track: Track) -> V1Deployment | None:
        """The track's Deployment, None where there is none."""
        with self._answering():
            try:
                return self.apps.read_namespaced_deployment(f"{self.service}-{track}", self.namespace)
            except ApiException as error:
                if _status(error) == http.HTTPStatus.NOT_FOUND:
                    return None
                raise

    def pods(self, track: Track) -> list[V1Pod]:
        """The track's pods, of its current ReplicaSet and of earlier ones; those being deleted are left out."""
        with self._answering():
            found = self.core.list_namespaced_pod(self.namespace, label_selector=f"app={self.service},track={track}")
        return [pod for pod in found.items if not _metadata(pod).deletion_timestamp]

    def current_pods(self, track: Track) -> list[V1Pod]:
        """The pods of the track's current ReplicaSet alone: those of the image that its Deployment names."""
        deployment = self.deployment(track)
        if deployment is None:
            return []
        revision = _annotation(deployment, REVISION)
        with self._answering():
            sets = self.apps.list_namespaced_replica_set(
                self.namespace, label_selector=f"app={self.service},track={track}"
            ).items
        hashes = {_label(each, TEMPLATE_HASH) for each in sets if _annotation(each, REVISION) == revision}
        return [pod for pod in self.pods(track) if _label(pod, TEMPLATE_HASH) in hashes]

    def exec(self, pod: V1Pod, command: Sequence[str], seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run a command in the pod's container of the service; returns its exit code and all that it printed.

        Raises Unreachable when it has not ended within ``seconds``, too.
        """
        name = str(_metadata(pod).name)
        with self._answering(f"pod {name}"):
            client: Any = _streams.stream(
                CoreV1Api(_Client(self._configuration)).connect_get_namespaced_pod_exec,
                name,
                self.namespace,
                command=list(command),
                container=service_container(pod).name,
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
                _preload_content=False,
            )
            try:
                client.run_forever(timeout=seconds)
                if client.is_open():
                    raise Unreachable(f"`{' '.join(command)}` in pod {name} has not ended after {seconds:g} seconds")
                code, reason = _exit_code(client)  # first: reading the output empties this channel as well
                return code, str(client.read_all()).strip() or reason
            finally:
                client.close()

    @contextmanager
    def forward(self, pod: V1Pod, port: int, seconds: float = ANSWER_SECONDS) -> Generator[http.client.HTTPConnection]:
        """An HTTP connection to a port of the pod, by port-forward; an answer may take ``seconds``."""
        name = str(_metadata(pod).name)
        with self._answering(f"pod {name}, port {port}"):
            forwarded: Any = _streams.portforward(
                CoreV1Api(_Client(self._configuration)).connect_get_namespaced_pod_portforward,
                name,
                self.namespace,
                ports=str(port),
            )
            connection = http.client.HTTPConnection(name, port, timeout=seconds)
            connection.sock = forwarded.socket(port)
            connection.sock.settimeout(seconds)
            try:
                yield connection
            finally:
                connection.close()
                forwarded.close()

    def through_service(
        self, track: Track, method: str, path: str, form: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Send one request through the track's own Service; returns status and body.

        Raises Unreachable when there is no ready pod behind it, too.
        """
        headers = {"Accept": "*/*"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        client = cast(Any, self.api)
        request = client.param_serialize(
            method,
            f"/api/v1/namespaces/{self.namespace}/services/http:{self.service}-{track}:http/proxy{path}",
            header_params=headers,
            post_params=list((form or {}).items()),
            auth_settings=["BearerToken"],
        )
        with self._answering(f"Service {self.service}-{track}"):
            answer = client.call_api(*request)
            status, body = int(answer.status), bytes(answer.read()).decode(errors="replace")
        if status >= http.HTTPStatus.BAD_REQUEST and '"kind":"Status"' in body and '"apiVersion":"v1"' in body:
            # The API server's own words, not the service's: no such Service, or no ready pod behind it.
            raise Unreachable(f"Service {self.service}-{track} cannot be reached: {_message(body)}")
        return status, body

    @contextmanager
    def _answering(self, what: str = "") -> Generator[None]:
        """Turns what the client raises into a sentence."""
        where = f"{what} in " if what else ""
        try:
            yield
        except ApiException as error:
            raise Unreachable(_refusal(error, f"{where}namespace {self.namespace}", self._host)) from None
        except (
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            websocket.WebSocketException,
            OSError,
        ) as error:
            what = what or f"the cluster at {self._host}"
            mend = "see that it runs, and that this machine reaches the cluster (`kubectl cluster-info`)"
            raise Unreachable(f"{what} does not answer: {_reason(error)}; {mend}") from None

    @property
    def _host(self) -> str:
        return str(self._configuration.host)

    @property
    def _configuration(self) -> Any:
        return cast(Any, self.api).configuration


class _Client(ApiClient):
    """The official client with a time limit on each request; its own default is none."""

    def call_api(self, *args: Any, **kwargs: Any) -> Any:
        # The sixth positional parameter is the time limit; callers that set one keep it.
        if len(args) < 6 and not kwargs.get("_request_timeout"):
            kwargs["_request_timeout"] = ANSWER_SECONDS
        websocket.setdefaulttimeout(ANSWER_SECONDS)
        return cast(Any, super()).call_api(*args, **kwargs)


def _quiet_forwarders(everything_else: Callable[[threading.ExceptHookArgs], Any]) -> None:
    """A forwarder whose connection breaks prints a traceback; whoever reads the other end is told of it anyway."""

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not (arguments.thread and arguments.thread.name.startswith(FORWARDER)):
            everything_else(arguments)

    threading.excepthook = hook


_quiet_forwarders(threading.excepthook)


def service_container(pod: V1Pod) -> V1Container:
    """The pod's container of the service: the first, whatever sidecars a cluster adds."""
    assert pod.spec is not None
    return pod.spec.containers[0]


def port_of(pod: V1Pod, name: Literal["http", "metrics"]) -> int | None:
    """The number of the container's port with that name; None where the service has none."""
    ports = service_container(pod).ports or []
    return next((port.container_port for port in ports if port.name == name), None)


def _configuration(stack: str, context: str | None, kubeconfig: Any) -> Configuration:
    configuration = Configuration()
    try:
        if context:
            _kubeconfigs.load_kube_config(context=context, client_configuration=configuration)
        else:
            text = cast(str | dict[str, Any], kubeconfig)
            loaded = yaml.safe_load(text) if isinstance(text, str) else text
            _kubeconfigs.load_kube_config_from_dict(loaded, client_configuration=configuration)
    except (ConfigException, yaml.YAMLError, OSError) as error:
        which = f"context `{context}` of your kubeconfig" if context else "its own kubeconfig"
        raise Fault(
            f"stack `{stack}`: {which} cannot be used: {_reason(error)}; `kubectl config view` shows it"
        ) from None
    return configuration


def _exit_code(client: Any) -> tuple[int, str]:
    """Exit code of an ended command and, where the container could not start it (126, as in a shell), why."""
    status: Any = yaml.safe_load(client.read_channel(ERROR_CHANNEL)) or {}
    if status.get("status") == "Success":
        return 0, ""
    causes = status.get("details", {}).get("causes", [])
    code = next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 126)
    return code, str(status.get("message", "the connection to it broke"))


def _refusal(error: ApiException, where: str, host: str) -> str:
    status = _status(error)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return (
            f"{where}: the cluster at {host} refuses these credentials ({status}): {_reason(error)}; log in again, or"
            " have the right granted"
        )
    return f"{where}: the cluster at {host} answers {status or 'nothing'}: {_reason(error)}"


def _status(error: ApiException) -> int:
    return int(cast(Any, error).status or 0)


def _reason(error: BaseException) -> str:
    """The error's own words, on one line."""
    text = str(getattr(error, "body", None) or getattr(error, "reason", None) or error or type(error).__name__)
    return _message(text)


def _message(text: str) -> str:
    """The message in a Status of the API server, or the text itself."""
    status, *_, body = f"{text} -+-+- ".split(" -+-+- ")[:3] if "-+-+-" in text else (text, "")
    text = f"{status} {body}"  # without the headers that a refused websocket shows between them
    with suppress(yaml.YAMLError, KeyError, TypeError):
        text = str(yaml.safe_load(text)["message"])
    return " ".join(text.split())[:300].rstrip(".")


def _metadata(thing: Any) -> Any:
    """An object that came from the API server always has its metadata."""
    return thing.metadata


def _annotation(thing: Any, name: str) -> str | None:
    return cast(dict[str, str], _metadata(thing).annotations or {}).get(name)


def _label(thing: Any, name: str) -> str | None:
    return cast(dict[str, str], _metadata(thing).labels or {}).get(name)
