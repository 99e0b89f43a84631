"""Conformance of the provider `kubernetes`: what it waits for, how a wait ends, and that it ends with its engine."""

from __future__ import annotations

import os
import signal

from tests.conformance.kubernetes_cluster import Namespace
from tests.conformance.kubernetes_programs import JOB, MISSING_IMAGE, SERVICE, WORKLOAD, program
from tests.conformance.pulumi_project import PATIENCE, PulumiProject, plugin_processes, until

PLUGIN = ("kubernetes", "4.34.2")
CONFLICT = 'conflict with "kubectl" with subresource "scale"'


def ready_replicas(namespace: Namespace) -> int:
    web = namespace.get("deployment", "web")
    return (web or {}).get("status", {}).get("readyReplicas", 0)


def test_a_deployment_is_waited_for_and_updated(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, SERVICE))
    project.up()
    assert ready_replicas(namespace) == 2
    service = namespace.get("service", "service")
    assert service is not None
    assert project.outputs()["address"] == service["status"]["loadBalancer"]["ingress"][0]["ip"]

    project.program(program(namespace, WORKLOAD, SERVICE, replicas=3, version="2"))
    steps = project.steps()
    assert {name: step["op"] for name, step in steps.items() if step["op"] != "same"} == {"web": "update"}
    assert set(steps["web"]["detailedDiff"]) == {
        "spec.replicas",
        "spec.template.spec.containers[0].env[0].value",
    }
    project.up()
    web = namespace.get("deployment", "web")
    assert web is not None
    assert web["status"]["updatedReplicas"] == web["status"]["readyReplicas"] == 3
    assert {step["op"] for step in project.steps().values()} == {"same"}


def test_a_scale_behind_its_back_is_found_and_undone_by_force_only(
    project: PulumiProject, namespace: Namespace
) -> None:
    project.program(program(namespace, WORKLOAD, replicas=1))
    project.up()
    namespace.kubectl("scale", "deployment", "web", "--replicas", "2")
    until(lambda: ready_replicas(namespace) == 2, "the second replica is ready")
    project.run("refresh", "--yes")
    assert CONFLICT in project.up(fails=True)
    project.program(program(namespace, WORKLOAD, replicas=1, arguments="enable_patch_force=True"))
    assert list(project.steps()["web"]["detailedDiff"]) == ["spec.replicas"]
    project.up()
    web = namespace.get("deployment", "web")
    assert web is not None
    assert web["spec"]["replicas"] == 1


def test_a_rollout_that_fails_is_told_and_mended(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, image=MISSING_IMAGE, timeout=5))
    output = project.up(fails=True)
    assert "'web' timed out waiting to be Ready" in output
    assert "Minimum number of live Pods was not attained" in output
    assert MISSING_IMAGE in output
    assert project.resource("web")["initErrors"]

    assert project.steps()["web"]["op"] == "update", "the wait is to be taken up again"
    project.program(program(namespace, WORKLOAD))
    project.up()
    assert ready_replicas(namespace) == 2
    assert not project.resource("web").get("initErrors")


def test_a_job_that_fails_is_replaced(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, JOB, command="raise SystemExit(1)"))
    assert "BackoffLimitExceeded" in project.up(fails=True)
    first = namespace.get("job", "job")
    project.program(program(namespace, JOB, command="raise SystemExit(0)"))
    assert project.steps()["job"]["op"] == "replace"
    project.up()
    second = namespace.get("job", "job")
    assert first is not None
    assert second is not None
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert second["status"]["succeeded"] == 1


def test_an_interrupted_wait_ends_and_is_remembered(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, image=MISSING_IMAGE))
    up = project.start("up", "--yes", "--skip-preview")
    until(lambda: namespace.exists("deployment", "web"), "the Deployment is made")
    os.kill(up.pid, signal.SIGINT)
    output, _ = up.communicate(timeout=PATIENCE)
    assert up.returncode != 0
    assert "Resource operation was cancelled" in output
    assert project.resource("web")["id"] == f"{namespace.name}/web"
    assert project.resource("web")["initErrors"]
    until(lambda: not plugin_processes(project, "kubernetes"), "no plugin is left")


def test_the_plugin_ends_with_an_engine_that_is_killed(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, image=MISSING_IMAGE))
    up = project.start("up", "--yes", "--skip-preview")
    until(lambda: namespace.exists("deployment", "web"), "the Deployment is made")
    os.kill(up.pid, signal.SIGKILL)
    up.wait(PATIENCE)
    until(lambda: not plugin_processes(project, "kubernetes"), "no plugin is left")
