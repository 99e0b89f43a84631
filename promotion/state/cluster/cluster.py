"""The cluster that a stack runs on: its Deployments and pods, commands in a pod, and requests to it.

Everything goes through the API server, so a remote cluster works like a local one and no NetworkPolicy has to allow it.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

import urllib3
import websocket
import yaml
from kubernetes import stream as streams
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, CustomObjectsApi
from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import ERROR_CHANNEL
from pulumi import automation

from promotion.errors import CommandError
from promotion.state import engine
from promotion.state.cluster.client import (
    ANSWER_SECONDS,
    Client,
    configuration_of,
    message_in,
    reason_of,
    refusal,
    status_of,
    without_redirects,
)
from promotion.state.cluster.pods import (
    Deployment,
    Document,
    Pod,
    annotation,
    condition,
    name,
    owners,
    parse_time,
    part,
    parts,
    read_items,
    read_raw,
)

#: The module has no types.
_streams: Any = streams

#: Group and version of the Gateway API.
GATEWAY_API = ("gateway.networking.k8s.io", "v1")

Track = Literal["stable", "canary"]
#: In the order of a comparison.
TRACKS: tuple[Track, Track] = ("canary", "stable")

#: Maximum seconds of a command in a pod.
COMMAND_SECONDS = 120
#: Annotation that a Deployment and its current ReplicaSet share.
REVISION = "deployment.kubernetes.io/revision"


class UnreachableError(CommandError):
    """The cluster, or a pod in it, did not answer."""


@dataclass
class Cluster:
    """A stack's namespace on its cluster. Every method raises UnreachableError if the API server does not answer."""

    api: ApiClient
    namespace: str
    service: str

    def __post_init__(self) -> None:
        self.core = CoreV1Api(self.api)
        self.apps = AppsV1Api(self.api)

    @classmethod
    def of(cls, stack: automation.Stack, outputs: Mapping[str, Any] | None = None) -> Cluster:
        """Return the stack's cluster, by its outputs: a context of the user's kubeconfig, or a kubeconfig.

        ``outputs``, with secrets, are read from the state if they are not given. Raises CommandError if the stack has
        no such outputs, or the cluster does not answer.
        """
        outputs = engine.outputs(stack, secrets=True) if outputs is None else outputs
        missing = [name for name in ("namespace", "service") if not outputs.get(name)]
        if missing or not (outputs.get("kubeContext") or outputs.get("kubeconfig")):
            raise CommandError(
                f"stack `{stack.name}` has no outputs that name its cluster: run `python -m promotion up --stack"
                f" {stack.name}` to update them"
            )
        configuration = configuration_of(stack.name, outputs.get("kubeContext"), outputs.get("kubeconfig"))
        cluster = cls(Client(configuration), str(outputs["namespace"]), str(outputs["service"]))
        cluster.deployment("stable")  # fails now if the cluster is unreachable
        return cluster

    def deployment(self, track: Track) -> Deployment | None:
        """Return the track's Deployment; None if there is none."""
        with self._answering():
            try:
                read = read_raw(self.apps.read_namespaced_deployment, f"{self.service}-{track}", self.namespace)
            except ApiException as error:
                if status_of(error) == http.HTTPStatus.NOT_FOUND:
                    return None
                raise
        return Deployment(json.loads(read))

    def pods(self, track: Track) -> list[Pod]:
        """Return the track's pods, those of earlier ReplicaSets included; pods being deleted are left out."""
        pods = map(Pod, self._of_track(self.core.list_namespaced_pod, track))
        return [pod for pod in pods if not pod.deleting]

    def current_pods(self, track: Track) -> list[Pod]:
        """Return the pods of the track's current ReplicaSet: those with the image that its Deployment names.

        A former Deployment of the same name may have left a ReplicaSet and pods that are not deleted yet.
        """
        deployment = self.deployment(track)
        if deployment is None:
            return []
        revision = annotation(deployment.document, REVISION)
        current = {
            str(each["metadata"]["uid"])
            for each in self._of_track(self.apps.list_namespaced_replica_set, track)
            if annotation(each, REVISION) == revision and str(deployment.document["metadata"]["uid"]) in owners(each)
        }
        return [pod for pod in self.pods(track) if current & owners(pod.document)]

    def lost_nodes(self) -> set[str]:
        """Return the names of the nodes that are not ready. Raises UnreachableError, also if it may not list nodes."""
        with self._answering("the list of nodes"):
            nodes = read_items(self.core.list_node)
        return {name(node) for node in nodes if condition(node, "Ready").get("status", "True") != "True"}

    def system_ooms(self) -> list[tuple[str, datetime]]:
        """Return the names of nodes that ran out of memory, and when.

        Raises UnreachableError, also if it may not read events in namespace default, which has those of nodes.
        """
        with self._answering("the events of nodes"):
            events = read_items(self.core.list_namespaced_event, "default", field_selector="reason=SystemOOM")
        times = [
            (part(event, "involvedObject"), event.get("lastTimestamp") or event.get("eventTime")) for event in events
        ]
        return [(str(node.get("name")), parse_time(str(time))) for node, time in times if time]

    def public_selector(self) -> Mapping[str, str]:
        """Return the labels that the public Service selects; those of the whole service if it does not exist."""
        with self._answering():
            services = read_items(self.core.list_namespaced_service, self.namespace)
        public = next((each for each in services if name(each) == f"{self.service}-lb"), None)
        return part(public, "spec", "selector") if public else {"app": self.service}

    def backends(self) -> set[str]:
        """Return the names of what the namespace's HTTPRoutes lead to; empty without the Gateway API."""
        with self._answering("the HTTPRoutes"):
            try:
                routes = read_items(
                    CustomObjectsApi(self.api).list_namespaced_custom_object, *GATEWAY_API, self.namespace, "httproutes"
                )
            except ApiException as error:
                if status_of(error) == http.HTTPStatus.NOT_FOUND:
                    return set()
                raise
        rules = [rule for route in routes for rule in parts(route, "spec", "rules")]
        return {str(backend["name"]) for rule in rules for backend in parts(rule, "backendRefs")}

    def gateway_class(self, name: str) -> Document | None:
        """Return the GatewayClass; None if the cluster does not have it. Raises UnreachableError."""
        with self._answering(f"GatewayClass {name}"):
            classes = read_items(CustomObjectsApi(self.api).list_cluster_custom_object, *GATEWAY_API, "gatewayclasses")
        return next((each for each in classes if each["metadata"]["name"] == name), None)

    def pods_labelled(self, selector: str, namespace: str = "") -> list[Pod]:
        """Return the pods with these labels in a namespace, or in all; pods being deleted are left out."""
        with self._answering(f"the pods labelled {selector}"):
            if namespace:
                pods = read_items(self.core.list_namespaced_pod, namespace, label_selector=selector)
            else:
                pods = read_items(self.core.list_pod_for_all_namespaces, label_selector=selector)
        return [pod for pod in map(Pod, pods) if not pod.deleting]

    def within(self, namespace: str) -> Cluster:
        """Return the cluster with another namespace."""
        return replace(self, namespace=namespace)

    def _of_track(self, read: Callable[..., Any], track: Track) -> list[Document]:
        with self._answering():
            return read_items(read, self.namespace, label_selector=f"app={self.service},track={track}")

    def exec(self, pod: Pod, command: Sequence[str], seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run a command in the service's container of the pod; return its exit code and its output.

        Raises UnreachableError also if it has not ended after ``seconds``.
        """
        with self._answering(f"pod {pod.name}"):
            client: Any = _streams.stream(
                CoreV1Api(Client(self._configuration)).connect_get_namespaced_pod_exec,
                pod.name,
                self.namespace,
                command=list(command),
                container=pod.container["name"],
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
                _preload_content=False,
            )
            try:
                client.run_forever(timeout=seconds)
                if client.is_open():
                    raise UnreachableError(f"`{' '.join(command)}` in pod {pod.name} has not ended after {seconds:g} s")
                code, reason = _exit_code(client)  # first: reading the output empties this channel as well
                return code, str(client.read_all()).strip() or reason
            finally:
                client.close()

    @contextmanager
    def forward(self, pod: Pod, port: int, seconds: float = ANSWER_SECONDS) -> Generator[http.client.HTTPConnection]:
        """Open an HTTP connection to a port of the pod, by port-forward; each answer may take ``seconds``."""
        with self._answering(f"pod {pod.name}, port {port}"):
            forwarded: Any = _streams.portforward(
                CoreV1Api(Client(self._configuration)).connect_get_namespaced_pod_portforward,
                pod.name,
                self.namespace,
                ports=str(port),
            )
            connection = http.client.HTTPConnection(pod.name, port, timeout=seconds)
            connection.sock = forwarded.socket(port)
            connection.sock.settimeout(seconds)
            try:
                yield connection
            finally:
                connection.close()
                forwarded.close()

    def through_service(
        self, track: Track, method: str, path: str, form: Mapping[str, str] | None = None, body: object = None
    ) -> tuple[int, str]:
        """Send one request through the track's own Service, with a form or a JSON body; return status and body.

        A redirect is an answer: it is not followed. Raises UnreachableError also if the Service has no ready pod.
        """
        return self.proxied(self.namespace, f"{self.service}-{track}", "http", method, path, form, body)

    def proxied(
        self,
        namespace: str,
        service: str,
        port: str,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        body: object = None,
    ) -> tuple[int, str]:
        """Send one request to a port of any Service, as ``through_service`` does."""
        headers = {"Accept": "*/*"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            headers["Content-Type"] = "application/json"
        client = cast(Any, without_redirects(Client(self._configuration)))
        request = client.param_serialize(
            method,
            f"/api/v1/namespaces/{namespace}/services/http:{service}:{port}/proxy{path}",
            header_params=headers,
            body=body,
            post_params=list((form or {}).items()),
            auth_settings=["BearerToken"],
        )
        with self._answering(f"Service {service}"):
            answer = client.call_api(*request)
            status, text = int(answer.status), bytes(answer.read()).decode(errors="replace")
        if status >= http.HTTPStatus.BAD_REQUEST and '"kind":"Status"' in text and '"apiVersion":"v1"' in text:
            # The API server answers for the service: there is no such Service, or it has no ready pod.
            raise UnreachableError(f"Service {service} cannot be reached: {message_in(text)}")
        return status, text

    @contextmanager
    def _answering(self, what: str = "") -> Generator[None]:
        """Turn the client's exceptions into UnreachableError."""
        where = f"{what} in " if what else ""
        try:
            yield
        except ApiException as error:
            raise UnreachableError(refusal(error, f"{where}namespace {self.namespace}", self._host)) from None
        except (
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            websocket.WebSocketException,
            OSError,
        ) as error:
            what = what or f"the cluster at {self._host}"
            remedy = "check that it runs and that this machine can reach the cluster (`kubectl cluster-info`)"
            raise UnreachableError(f"{what} does not answer: {reason_of(error)}; {remedy}") from None

    @property
    def _host(self) -> str:
        return str(self._configuration.host)

    @property
    def _configuration(self) -> Any:
        return cast(Any, self.api).configuration


def _exit_code(client: Any) -> tuple[int, str]:
    """Return a command's exit code and, if the container could not start it (126, as in a shell), the reason."""
    status: Any = yaml.safe_load(client.read_channel(ERROR_CHANNEL)) or {}
    if status.get("status") == "Success":
        return 0, ""
    causes = status.get("details", {}).get("causes", [])
    code = next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 126)
    return code, str(status.get("message", "the connection to it broke"))
