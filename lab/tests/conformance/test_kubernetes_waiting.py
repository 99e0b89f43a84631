"""Conformance of the provider `kubernetes`: what it waits for, and how a wait ends."""

from __future__ import annotations

import os
import signal

from lab.tests.conformance.kubernetes_cluster import Namespace
from lab.tests.conformance.kubernetes_programs import JOB, MISSING_IMAGE, SERVICE, WORKLOAD, program
from lab.tests.conformance.pulumi_project import PATIENCE, PulumiProject, plugin_processes, until

PLUGIN = ("kubernetes", "4.34.2")
CONFLICT = 'conflict with "kubectl" with subresource "scale"'


def ready_replicas(namespace: Namespace) -> int:
    return namespace.get("deployment", "web").get("status", {}).get("readyReplicas", 0)


def test_failed_rollout_is_explained_and_repaired(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, image=MISSING_IMAGE, timeout=5))
    output = project.up(fails=True)
    assert "'web' timed out waiting to be Ready" in output
    assert "Minimum number of live Pods was not attained" in output
    assert MISSING_IMAGE in output
    assert project.resource("web")["initErrors"]

    assert project.steps()["web"]["op"] == "update", "the next update must wait again"
    project.program(program(namespace, WORKLOAD))
    project.up()
    assert ready_replicas(namespace) == 2
    assert not project.resource("web").get("initErrors")


def test_deployment_and_service_are_awaited(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, SERVICE))
    project.up()
    assert ready_replicas(namespace) == 2
    ingress = namespace.get("service", "service")["status"]["loadBalancer"]["ingress"]
    assert project.outputs()["address"] == ingress[0]["ip"]

    project.program(program(namespace, WORKLOAD, SERVICE, replicas=1, version="2"))
    steps = project.steps()
    assert {name: step["op"] for name, step in steps.items() if step["op"] != "same"} == {"web": "update"}
    assert set(steps["web"]["detailedDiff"]) == {"spec.replicas", "spec.template.spec.containers[0].env[0].value"}
    project.up()
    status = namespace.get("deployment", "web")["status"]
    assert status["updatedReplicas"] == status["readyReplicas"] == 1
    assert {step["op"] for step in project.steps().values()} == {"same"}


def test_manual_scale_is_undone_only_by_force(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, replicas=1))
    project.up()
    namespace.kubectl("scale", "deployment", "web", "--replicas", "2")
    until(lambda: ready_replicas(namespace) == 2, "the second replica is ready")
    project.run("refresh", "--yes")
    assert CONFLICT in project.up(fails=True)
    project.program(program(namespace, WORKLOAD, replicas=1, arguments="enable_patch_force=True"))
    assert list(project.steps()["web"]["detailedDiff"]) == ["spec.replicas"]
    project.up()
    assert namespace.get("deployment", "web")["spec"]["replicas"] == 1


def test_failed_job_is_replaced(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, JOB, command="raise SystemExit(1)"))
    assert "BackoffLimitExceeded" in project.up(fails=True)
    failed = namespace.get("job", "job")
    project.program(program(namespace, JOB, command="raise SystemExit(0)"))
    assert project.steps()["job"]["op"] == "replace"
    project.up()
    replacement = namespace.get("job", "job")
    assert replacement["metadata"]["uid"] != failed["metadata"]["uid"]
    assert replacement["status"]["succeeded"] == 1


def test_interrupted_wait_ends_and_is_remembered(project: PulumiProject, namespace: Namespace) -> None:
    project.program(program(namespace, WORKLOAD, image=MISSING_IMAGE))
    up = project.start("up", "--yes", "--skip-preview")
    until(lambda: namespace.get("deployment", "web"), "the Deployment exists")
    os.kill(up.pid, signal.SIGINT)
    output, _ = up.communicate(timeout=PATIENCE)
    assert up.returncode != 0
    assert "Resource operation was cancelled" in output
    assert project.resource("web")["id"] == f"{namespace.name}/web"
    assert project.resource("web")["initErrors"]
    until(lambda: not plugin_processes(project, "kubernetes"), "the plugin has ended")
