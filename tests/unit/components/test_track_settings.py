"""Settings on trial: each track's own ConfigMap and Secret, and what the canary's settings change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.components.graphs import all_before, secret_data

Declare = Callable[..., Any]
DIGEST = "sha256:" + "cd" * 32
PINNED = f"localhost:5001/addressbook@{DIGEST}"
STABLE = f"localhost:5001/addressbook@sha256:{'ab' * 32}"
TRIAL = {"stableImage": STABLE, "canaryImage": STABLE, "canaryReplicas": 1}
SECRETS = ("secretEnvironment", "canarySecretEnvironment")


def pod(graph: Any, track: str) -> dict[str, Any]:
    return graph.one("Deployment", f"addressbook-{track}").inputs["spec"]["template"]["spec"]


def config(graph: Any, track: str) -> Any:
    """Return the ConfigMap that the track's pods read."""
    (name,) = [each["configMapRef"]["name"] for each in _sources(graph, track) if "configMapRef" in each]
    return graph.one("ConfigMap", name)


def secrets(graph: Any, track: str) -> list[str]:
    """Return the names of the Secrets that the track's pods read."""
    return [each["secretRef"]["name"] for each in _sources(graph, track) if "secretRef" in each]


def _sources(graph: Any, track: str) -> list[dict[str, Any]]:
    return pod(graph, track)["containers"][0]["envFrom"]


def of_stable(graph: Any) -> dict[str, Any]:
    """Return the inputs of everything that exists without a canary."""
    return {each.urn: each.inputs for each in graph.resources if "canary" not in each.urn}


def test_canary_settings_leave_stable_alone(declare: Declare):
    alone = declare(stableImage=STABLE, environment={"A": "1"}, secretEnvironment={"T": "x"}, secret_keys=SECRETS)
    trial = declare(
        **TRIAL,
        environment={"A": "1"},
        secretEnvironment={"T": "x"},
        canarySettings={"environment": {"A": "2"}, "memoryLimit": "512Mi", "preStopSeconds": 1},
        canarySecretEnvironment={"T": "y"},
        secret_keys=SECRETS,
    )
    assert of_stable(trial) == of_stable(alone)


def test_the_canary_runs_stables_settings_overlaid_with_its_own(declare: Declare):
    graph = declare(
        **TRIAL,
        environment={"KEPT": "1", "CHANGED": "1", "REMOVED": "1"},
        secretEnvironment={"TOKEN": "stable's", "PLAIN_NOW": "x"},
        canarySettings={
            "environment": {"CHANGED": "2", "ADDED": "2", "REMOVED": None, "PLAIN_NOW": "2"},
            "memoryLimit": "512Mi",
            "port": 8080,
            "readinessPath": "/healthz",
        },
        canarySecretEnvironment={"TOKEN": "canary's"},
        secret_keys=SECRETS,
    )
    data = config(graph, "canary").inputs["data"]
    expected = {"KEPT": "1", "CHANGED": "2", "ADDED": "2", "PLAIN_NOW": "2"}
    assert data == {"NODE_ENV": "production", "PORT": "8080", "METRICS_PORT": "9464", **expected}
    own = graph.one("Secret", "addressbook-canary-secrets")
    assert list(own.inputs["data"]) == ["TOKEN"]
    assert secret_data(own, "TOKEN") == "canary's"
    (container,) = pod(graph, "canary")["containers"]
    assert container["resources"]["limits"]["memory"] == "512Mi"
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["ports"][0]["containerPort"] == 8080


def test_settings_objects_are_immutable_and_renamed_by_content(declare: Declare):
    one, two = declare(environment={"A": "1"}), declare(environment={"A": "2"})
    assert config(one, "stable").urn == config(declare(environment={"A": "1"}), "stable").urn
    assert config(one, "stable").urn != config(two, "stable").urn, "so the old one stays until the rollout is complete"
    assert config(one, "stable").inputs["metadata"]["name"] != config(two, "stable").inputs["metadata"]["name"]
    graph = declare(secretEnvironment={"TOKEN": "hunter2"}, secret_keys=SECRETS)
    own = graph.one("Secret", "addressbook-stable-secrets")
    assert "name" not in own.inputs["metadata"], "a generated name reveals nothing, and never belongs to an old Secret"
    assert "addressbook-stable-secrets-generated" in secrets(graph, "stable")
    for each in (config(graph, "stable"), own):
        assert each.inputs["immutable"] is True
        assert not each.options.deleteBeforeReplace
        assert each.urn in all_before(graph, graph.one("Deployment", "addressbook-stable"))


def test_platform_values_are_shared_and_restart_both_tracks(declare: Declare, cloud: Any):
    def annotations(graph: Any) -> list[dict[str, str]]:
        return [
            each.inputs["spec"]["template"]["metadata"]["annotations"]
            for each in (graph.one("Deployment", f"addressbook-{track}") for track in ("stable", "canary"))
        ]

    trial = {**TRIAL, "canarySettings": {"environment": {"A": "2"}}}
    before = declare(**trial)
    assert secrets(before, "stable") == secrets(before, "canary") == ["db-params"]
    assert annotations(before)[0] == annotations(before)[1]
    cloud.computed["random:index/randomPassword:RandomPassword"] = lambda args: {"result": f"rotated {args.name}"}
    after = declare(**trial)
    assert all(one != two for one, two in zip(annotations(before), annotations(after), strict=True))
    assert config(before, "canary").urn == config(after, "canary").urn


def test_only_a_new_image_migrates_with_the_canarys_settings(declare: Declare):
    def environments(graph: Any) -> dict[str, set[str]]:
        return {
            each.name: set(each.inputs["data"]) for each in graph.all("Secret") if each.name.startswith("addressbook-m")
        }

    settings = {"canarySettings": {"environment": {"NEW": "1"}, "memoryLimit": "1Gi"}}
    same = declare(**TRIAL, **settings)
    assert "NEW" not in environments(same)["addressbook-migrate-ababab"]
    other = declare(**{**TRIAL, "canaryImage": PINNED}, **settings)
    assert "NEW" in environments(other)["addressbook-migrate-cdcdcd"]
    promoted = declare(stableImage=PINNED, environment={"NEW": "1"}, memoryLimit="1Gi")
    job = "addressbook-migrate-cdcdcd"
    assert promoted.one("Job", job).inputs == other.one("Job", job).inputs, "a promotion does not migrate again"
    assert environments(promoted)[job] == environments(other)[job]


def test_other_settings_do_not_migrate_again(declare: Declare):
    job = "addressbook-migrate-ababab"
    before = declare(stableImage=STABLE, environment={"A": "1"}).one("Job", job)
    assert declare(stableImage=STABLE, environment={"A": "2"}).one("Job", job).inputs == before.inputs


def test_only_the_canary_is_deleted_in_the_background(declare: Declare):
    graph = declare(**TRIAL)
    policies = {
        each.name: each.inputs["metadata"]["annotations"].get("pulumi.com/deletionPropagationPolicy")
        for each in graph.all("Deployment")
    }
    assert policies == {"addressbook-stable": None, "addressbook-canary": "background"}


def test_a_canary_with_another_port_is_reached(declare: Declare):
    graph = declare(**TRIAL, canarySettings={"port": 8080})
    ingress = graph.one("NetworkPolicy", "addressbook").inputs["spec"]["ingress"]
    assert [port["port"] for port in ingress[0]["ports"]] == ["http", 3000, 8080]


def test_a_canary_with_metrics_may_be_scraped(declare: Declare):
    graph = declare(**TRIAL, metricsPort=0, canarySettings={"metricsPort": 9464})
    ingress = graph.one("NetworkPolicy", "addressbook").inputs["spec"]["ingress"]
    assert [[port["port"] for port in rule["ports"]] for rule in ingress] == [["http", 3000], ["metrics", 9464]]
    assert "METRICS_PORT" not in config(graph, "stable").inputs["data"]


def test_outputs_name_the_canarys_settings_alone(declare: Declare):
    graph = declare(
        **TRIAL,
        canarySettings={"environment": {"A": "2", "GONE": None}, "memoryLimit": "1Gi"},
        canarySecretEnvironment={"TOKEN": "hunter2"},
        secret_keys=SECRETS,
    )
    names = ["memoryLimit", "environment.A", "environment.GONE", "secretEnvironment.TOKEN"]
    assert graph.outputs["tracks"]["canary"]["settings"] == names
    assert "settings" not in graph.outputs["tracks"]["stable"]
    assert "settings" not in declare(**TRIAL).outputs["tracks"]["canary"]
