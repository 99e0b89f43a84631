"""The cluster of a stack, as far as no cluster is needed: what its outputs say, and what errors say."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client import ApiClient, Configuration
from pulumi import automation

from promotion.errors import CommandError
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.cluster.gateway import has_track_backends
from promotion.state.cluster.pods import Deployment, Pod
from promotion.state.stack_state import TAG

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: it
contexts: [{name: it, context: {cluster: it, user: it}}]
clusters: [{name: it, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: it, user: {token: secret-token}}]
"""


def stack(**outputs: Any) -> automation.Stack:
    secret = {TAG: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(outputs.get("kubeconfig"))}
    values = {**outputs, **({"kubeconfig": secret} if "kubeconfig" in outputs else {})}
    deployment = {"resources": [{"type": "pulumi:pulumi:Stack", "outputs": values}]}
    exported = SimpleNamespace(deployment=deployment)
    return cast(automation.Stack, SimpleNamespace(name="dev", export_stack=lambda: exported))


@pytest.mark.parametrize(
    "outputs",
    [{}, {"namespace": "n", "service": "s"}, {"namespace": "n", "kubeContext": "c"}],
    ids=["nothing runs", "no cluster", "an earlier program"],
)
def test_outputs_without_a_cluster_are_an_error(outputs: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="`python -m promotion up --stack dev` to update them"):
        Cluster.of(stack(**outputs))


def test_an_unknown_context_is_an_error(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    with pytest.raises(CommandError, match="stack `dev`: context `gone` of your kubeconfig cannot be used"):
        Cluster.of(stack(namespace="n", service="s", kubeContext="gone"))


def test_an_unreachable_cluster_is_an_error_without_secrets() -> None:
    with pytest.raises(
        UnreachableError, match=r"the cluster at http://127.0.0.1:1 does not answer: .*refused"
    ) as raised:
        Cluster.of(stack(namespace="n", service="s", kubeconfig=KUBECONFIG))
    assert "secret-token" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_request_raises_if_the_cluster_is_unreachable() -> None:
    configuration = Configuration(host="http://127.0.0.1:1")
    cluster = Cluster(ApiClient(configuration), "n", "s")
    pod = Pod({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "s"}]}})
    with pytest.raises(UnreachableError, match="pod p"):
        cluster.exec(pod, ["true"])
    with pytest.raises(UnreachableError, match="pod p, port 9464"), cluster.forward(pod, 9464):
        pass
    with pytest.raises(UnreachableError, match="Service s-canary does not answer"):
        cluster.through_service("canary", "GET", "/all")
    with pytest.raises(UnreachableError):
        cluster.pods("canary")


class Redirecting(BaseHTTPRequestHandler):
    """Answers every request with a redirect."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.mark.parametrize(("method", "form"), [("GET", None), ("POST", {"name": "x"})])
def test_a_redirect_is_the_answer(method: str, form: dict[str, str] | None) -> None:
    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        cluster = Cluster(ApiClient(Configuration(host=f"http://127.0.0.1:{server.server_port}")), "n", "s")
        assert cluster.through_service("canary", method, "/", form) == (302, "")
        server.shutdown()


#: What an API server answers, by path.
OBJECTS: dict[str, tuple[int, Any]] = {
    "/apis/gateway.networking.k8s.io/v1/namespaces/n/httproutes": (
        200,
        {
            "items": [
                {"spec": {"rules": [{"filters": [{"type": "RequestRedirect"}]}]}},
                {"spec": {"rules": [{"backendRefs": [{"name": "s-canary"}]}, {"backendRefs": [{"name": "s-stable"}]}]}},
            ]
        },
    ),
    "/apis/gateway.networking.k8s.io/v1/namespaces/plain/httproutes": (404, {"kind": "Status"}),
    "/apis/gateway.networking.k8s.io/v1/namespaces/private/httproutes": (403, {"kind": "Status"}),
    "/api/v1/namespaces/n/pods?labelSelector=app%3Ds-traefik": (
        200,
        {
            "items": [
                {"metadata": {"name": "a"}},
                {"metadata": {"name": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            ]
        },
    ),
    "/api/v1/pods?labelSelector=app%3Ds-traefik": (200, {"items": [{"metadata": {"name": "elsewhere"}}]}),
    "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/query?query=up": (200, "answered"),
}


class ApiServer(BaseHTTPRequestHandler):
    """Answers from OBJECTS."""

    def do_GET(self) -> None:
        status, document = OBJECTS[self.path]
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def api_server() -> Generator[ApiClient]:
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield ApiClient(Configuration(host=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


def test_routes_show_whether_a_gateway_tells_tracks_apart(api_server: ApiClient) -> None:
    assert Cluster(api_server, "n", "s").backends() == {"s-canary", "s-stable"}
    assert has_track_backends(Cluster(api_server, "n", "s"))
    assert not has_track_backends(Cluster(api_server, "plain", "s")), "a cluster without the Gateway API"
    with pytest.raises(UnreachableError, match=r"the HTTPRoutes in namespace private: .* \(403\)"):
        has_track_backends(Cluster(api_server, "private", "s"))


def test_pods_are_found_by_label_in_one_namespace_or_all(api_server: ApiClient) -> None:
    cluster = Cluster(api_server, "n", "s")
    assert [pod.name for pod in cluster.pods_labelled("app=s-traefik", "n")] == ["a"]
    assert [pod.name for pod in cluster.pods_labelled("app=s-traefik")] == ["elsewhere"]
    assert cluster.within("other").namespace == "other"


def test_any_service_answers_through_the_api_server(api_server: ApiClient) -> None:
    answer = Cluster(api_server, "n", "s").proxied("monitoring", "prometheus", "9090", "GET", "/api/v1/query?query=up")
    assert answer == (200, '"answered"')


def test_pods_of_a_former_deployment_are_not_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary that was just removed leaves a ReplicaSet of the same revision, and pods that are not deleted yet."""

    def owned(name: str, owner: str, **metadata: Any) -> dict[str, Any]:
        annotations = {"deployment.kubernetes.io/revision": "1"}
        return {"metadata": {"uid": name, "ownerReferences": [{"uid": owner}], "annotations": annotations, **metadata}}

    objects = {
        "list_namespaced_replica_set": [owned("new set", "new"), owned("old set", "removed")],
        "list_namespaced_pod": [
            owned("old pod", "old set"),
            owned("draining pod", "new set", deletionTimestamp="2026-01-01T00:00:00Z"),
            owned("new pod", "new set"),
        ],
    }
    cluster = Cluster(ApiClient(Configuration(host="http://127.0.0.1:1")), "n", "s")
    monkeypatch.setattr(cluster, "_of_track", lambda read, track: objects[read.__name__])
    deployment = Deployment({"metadata": {"uid": "new", "annotations": {"deployment.kubernetes.io/revision": "1"}}})
    monkeypatch.setattr(cluster, "deployment", lambda track: deployment)
    assert [pod.uid for pod in cluster.current_pods("canary")] == ["new pod"]


def test_ports_are_found_by_name() -> None:
    ports = [{"name": "http", "containerPort": 3000}, {"name": "metrics", "containerPort": 9464}]
    pod = Pod({"spec": {"containers": [{"name": "s", "ports": ports}, {"name": "sidecar"}]}})
    assert (pod.port("http"), pod.port("metrics")) == (3000, 9464)
    assert Pod({"spec": {"containers": [{"name": "s"}]}}).port("metrics") is None


def test_the_container_is_found_behind_a_sidecar() -> None:
    containers = [{"name": "proxy", "image": "proxy"}, {"name": "shop", "image": "shop"}]
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": containers}}
    statuses = [{"name": "proxy", "restartCount": 5}, {"name": "shop", "restartCount": 1}]
    pod = Pod({**template, "status": {"containerStatuses": statuses}})
    assert (pod.image, pod.restarts) == ("shop", 1)
    assert Deployment({"spec": {"template": template}}).image == "shop"


def answering(*items: dict[str, Any]) -> Any:
    """Return a method of the client that answers with a list of these objects."""
    return lambda *_, **__: SimpleNamespace(data=json.dumps({"items": items}).encode())


def test_lost_nodes_and_out_of_memory_events_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(ApiClient(Configuration(host="http://127.0.0.1:1")), "n", "s")
    nodes = [
        {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
        for name, status in (("good", "True"), ("gone", "Unknown"))
    ]
    event = {"involvedObject": {"kind": "Node", "name": "good"}, "lastTimestamp": "2026-01-01T12:00:00Z"}
    monkeypatch.setattr(cluster.core, "list_node", answering(*nodes))
    monkeypatch.setattr(cluster.core, "list_namespaced_event", answering(event))
    assert cluster.lost_nodes() == {"gone"}
    assert cluster.system_ooms() == [("good", datetime(2026, 1, 1, 12, tzinfo=UTC))]
