"""Run a clean-up Job when the stack is destroyed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi import dynamic

from components.kubernetes_access import api_client
from contract.platform import ClusterAccess

#: Seconds between two reads of the Job's state.
POLL_SECONDS = 1.0
RETRIES = 1
#: Timeout of one request to the API server, in seconds.
REQUEST_SECONDS = 30
#: Labels that the Job controller sets. A copy of the pod template must not have them, or the first Job would select
#: the copy's pods.
_CONTROLLERS_LABELS = ("controller-uid", "job-name")
_CONTROLLERS_PREFIX = "batch.kubernetes.io/"
_LOG_LINES = 5
#: Type of this resource in stacks of earlier versions.
FORMER_TYPE = "pulumi-python:dynamic/addressbook:FinalJob"
#: Variable that makes Pulumi's Kubernetes provider forget the objects of a cluster that no longer exists.
DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"


@dataclass(frozen=True)
class CleanupOnDestroyArgs:
    """Which Job cleans up, and what it removes."""

    cluster: ClusterAccess
    #: Namespace of the Job.
    namespace: pulumi.Input[str]
    #: Name of a Job that has run. On deletion a copy of it runs with ``args``.
    job: pulumi.Input[str]
    #: Arguments of the copy's container.
    args: Sequence[str]
    #: What the clean-up removes, for messages. A change replaces the resource, so the old clean-up runs.
    subject: str
    #: Manual remedy if the Job cannot run; part of a sentence.
    by_hand: str


class CleanupOnDestroy(dynamic.Resource, module="delivery", name="CleanupOnDestroy"):
    """A resource whose deletion runs a Job in the cluster and waits for it.

    It is a dynamic resource because the program does not run on `destroy`, but a dynamic resource's provider does.
    """

    def __init__(self, name: str, args: CleanupOnDestroyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, pulumi.Input[Any]] = {
            "context": args.cluster.context,
            "kubeconfig": args.cluster.kubeconfig,
            "namespace": args.namespace,
            "job": args.job,
            "args": list(args.args),
            "subject": args.subject,
            "byHand": args.by_hand,
        }
        alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=FORMER_TYPE)])
        super().__init__(CleanupOnDestroyProvider(), name, inputs, pulumi.ResourceOptions.merge(alias, opts))


class CleanupOnDestroyProvider(dynamic.ResourceProvider):
    """The provider of CleanupOnDestroy. The state refers to this class by its module and name."""

    # The state then holds the class's name in plain text; it is no secret.
    serialize_as_secret_always = False

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Silence gRPC, which would print a traceback after each error message."""
        del req
        logging.getLogger("grpc._server").disabled = True

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Record the inputs; the Job runs on deletion only."""
        return dynamic.CreateResult(f"{props['namespace']}/{props['subject']}", dict(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        """Replace the resource if the subject changed; otherwise update its inputs.

        Another server replaces nothing: the Job's login leads to that one, whose database may come from a backup.
        """
        changed = [key for key, value in _news.items() if key != "__provider" and _olds.get(key) != value]
        return dynamic.DiffResult(changes=bool(changed), replaces=["subject"] if "subject" in changed else [])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        """Record the new inputs."""
        return dynamic.UpdateResult(dict(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Run the Job and wait for it. Raises RuntimeError on failure; the resource then stays in the state."""
        # Imported here because only the engine's call needs the client, not the program.
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        subject, by_hand = _props["subject"], _props["byHand"]
        try:
            client = api_client(_props.get("context", ""), _props["kubeconfig"])
            failed = _run_again(client, _props["namespace"], _props["job"], _props["args"])
        except ApiException as exception:
            error: Any = exception  # the client has no type hints
            raise RuntimeError(
                f"{subject} was not removed: Job {_props['job']} in namespace {_props['namespace']} could not run"
                f" ({error.status} {error.reason}); {by_hand}"
            ) from None
        except HTTPError:
            if os.environ.get(DELETE_UNREACHABLE, "").lower() == "true":
                return
            raise RuntimeError(
                f"{subject} was not removed: its cluster does not answer; run `pulumi destroy` again once it does, or"
                f" export {DELETE_UNREACHABLE}=true if it no longer exists"
            ) from None
        if failed:
            raise RuntimeError(
                f"{subject} was not removed: {failed}; run `pulumi destroy` again to retry, or {by_hand}"
            )


def _run_again(client: Any, namespace: str, job: str, args: Sequence[str]) -> str:
    """Run a copy of a Job with other arguments. Return why it failed, or "" if it succeeded."""
    from kubernetes.client import BatchV1Api, CoreV1Api

    batch: Any = BatchV1Api(client)
    original = batch.read_namespaced_job(job, namespace, _request_timeout=REQUEST_SECONDS).spec
    template = original.template
    template.spec.containers[0].args = list(args)
    for label in list(template.metadata.labels or {}):
        if label in _CONTROLLERS_LABELS or label.startswith(_CONTROLLERS_PREFIX):
            del template.metadata.labels[label]
    copy = batch.create_namespaced_job(
        namespace,
        {
            "metadata": {"generateName": f"{job[:40]}-final-", "labels": dict(template.metadata.labels)},
            "spec": {
                "template": template,
                "backoffLimit": RETRIES,
                # The same time as the original had, which is enough for a cloud to make a node for the pod.
                "activeDeadlineSeconds": original.active_deadline_seconds,
            },
        },
        _request_timeout=REQUEST_SECONDS,
    )
    name: str = copy.metadata.name
    try:
        while True:  # the Job's deadline ends it
            state: dict[str, Any] = {
                condition.type: condition
                for condition in _conditions(batch, name, namespace)
                if condition.status == "True"
            }
            if "Complete" in state:
                return ""
            if "Failed" in state:
                return (
                    f"Job {name} failed ({state['Failed'].reason}){_last_log_lines(CoreV1Api(client), namespace, name)}"
                )
            time.sleep(POLL_SECONDS)
    finally:
        batch.delete_namespaced_job(name, namespace, propagation_policy="Foreground")


def _conditions(batch: Any, job: str, namespace: str) -> list[Any]:
    return batch.read_namespaced_job(job, namespace, _request_timeout=REQUEST_SECONDS).status.conditions or []


def _last_log_lines(core: Any, namespace: str, job: str) -> str:
    """Return the last log lines of the Job's latest pod, after a colon."""
    pods = core.list_namespaced_pod(namespace, label_selector=f"job-name={job}").items
    if not pods:
        return ""
    log: str = core.read_namespaced_pod_log(pods[-1].metadata.name, namespace, tail_lines=_LOG_LINES)
    return f": {' '.join(log.split())}"
