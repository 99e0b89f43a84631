"""What has to be done in the cluster when a stack goes, and no Kubernetes object's deletion does."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi import dynamic

from contract.platform import ClusterAccess

#: Seconds between two looks at the Job.
POLL_SECONDS = 1.0
RETRIES = 1
#: Seconds that the Job may take.
DEADLINE_SECONDS = 180
#: Seconds for one answer of the API server.
ANSWER_SECONDS = 30
#: Labels that the Job controller sets on its own pods; another Job's would select them.
_CONTROLLERS_LABELS = ("controller-uid", "job-name")
_CONTROLLERS_PREFIX = "batch.kubernetes.io/"
_LOG_LINES = 5
#: Type of this resource in stacks of earlier versions.
FORMER_TYPE = "pulumi-python:dynamic/addressbook:FinalJob"
#: The switch of Pulumi's Kubernetes provider, for what was on a cluster that is gone.
DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"


@dataclass(frozen=True)
class CleanupOnDestroyArgs:
    """``job`` is a Job that has run; at the end its pods are run once more, with ``args`` for their container.

    ``subject`` says what the Job disposes of, and ``server`` where that is: with another one, this is another
    resource, and the old one's Job runs. ``by_hand`` is what to do where the Job can't be run, a sentence.
    """

    cluster: ClusterAccess
    namespace: pulumi.Input[str]
    job: pulumi.Input[str]
    args: Sequence[str]
    subject: str
    server: pulumi.Input[str]
    by_hand: str


class CleanupOnDestroy(dynamic.Resource, module="delivery", name="CleanupOnDestroy"):
    """Runs a Job in the cluster when it is deleted, and nothing until then; `destroy` waits for the Job.

    A dynamic resource, since the engine calls its code on `destroy`, when the program doesn't run.
    """

    def __init__(self, name: str, args: CleanupOnDestroyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, pulumi.Input[Any]] = {
            "context": args.cluster.context,
            "kubeconfig": args.cluster.kubeconfig,
            "namespace": args.namespace,
            "job": args.job,
            "args": list(args.args),
            "subject": args.subject,
            "server": args.server,
            "byHand": args.by_hand,
        }
        alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=FORMER_TYPE)])
        super().__init__(CleanupOnDestroyProvider(), name, inputs, pulumi.ResourceOptions.merge(alias, opts))


class CleanupOnDestroyProvider(dynamic.ResourceProvider):
    """The engine's side of it. Kept in the state as a reference to this class, not as a copy of its code."""

    serialize_as_secret_always = False

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """A failure is told in one sentence; gRPC would add the traceback of this process to it."""
        del req
        logging.getLogger("grpc._server").disabled = True

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Nothing is done yet."""
        return dynamic.CreateResult(f"{props['namespace']}/{props['subject']}", dict(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        """A new Job or new access is only noted; another subject or server ends the old one."""
        changed = [key for key, value in _news.items() if key != "__provider" and _olds.get(key) != value]
        return dynamic.DiffResult(
            changes=bool(changed), replaces=[key for key in ("subject", "server") if key in changed]
        )

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        """Take note of the new inputs."""
        return dynamic.UpdateResult(dict(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Run the Job and wait for it. Raises RuntimeError: the resource is then still there."""
        # Imported here: the program declares the resource, only the engine's call needs the client.
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        subject, by_hand = _props["subject"], _props["byHand"]
        try:
            failed = _run_again(_api_client(_props), _props["namespace"], _props["job"], _props["args"])
        except ApiException as refusal:
            fault: Any = refusal  # comes without types
            raise RuntimeError(
                f"{subject} is still there: Job {_props['job']} in namespace {_props['namespace']} could not be run"
                f" again ({fault.status} {fault.reason}); {by_hand}"
            ) from None
        except HTTPError:
            if os.environ.get(DELETE_UNREACHABLE, "").lower() == "true":
                return
            raise RuntimeError(
                f"{subject} is still there: its cluster does not answer; bring the cluster back, or, where it is gone"
                f" for good, export {DELETE_UNREACHABLE}=true"
            ) from None
        if failed:
            raise RuntimeError(
                f"{subject} is still there: {failed}; the next `pulumi destroy` tries again, or {by_hand}"
            )


def _api_client(props: Mapping[str, Any]) -> Any:
    import yaml
    from kubernetes import config

    configurations: Any = config  # comes without types
    if props["kubeconfig"]:
        return configurations.new_client_from_config_dict(yaml.safe_load(props["kubeconfig"]))
    return configurations.new_client_from_config(context=props["context"])


def _run_again(client: Any, namespace: str, job: str, args: Sequence[str]) -> str:
    """Run the pods of a Job with other arguments. Returns why that failed, "" when it did not."""
    from kubernetes.client import BatchV1Api, CoreV1Api

    batch: Any = BatchV1Api(client)
    template = batch.read_namespaced_job(job, namespace, _request_timeout=ANSWER_SECONDS).spec.template
    template.spec.containers[0].args = list(args)
    for label in list(template.metadata.labels or {}):
        if label in _CONTROLLERS_LABELS or label.startswith(_CONTROLLERS_PREFIX):
            del template.metadata.labels[label]
    again = batch.create_namespaced_job(
        namespace,
        {
            "metadata": {"generateName": f"{job[:40]}-final-", "labels": dict(template.metadata.labels)},
            "spec": {"template": template, "backoffLimit": RETRIES, "activeDeadlineSeconds": DEADLINE_SECONDS},
        },
        _request_timeout=ANSWER_SECONDS,
    )
    name: str = again.metadata.name
    try:
        while True:  # its deadline ends it
            state: dict[str, Any] = {
                condition.type: condition
                for condition in _conditions(batch, name, namespace)
                if condition.status == "True"
            }
            if "Complete" in state:
                return ""
            if "Failed" in state:
                return f"Job {name} failed ({state['Failed'].reason}){_said(CoreV1Api(client), namespace, name)}"
            time.sleep(POLL_SECONDS)
    finally:
        batch.delete_namespaced_job(name, namespace, propagation_policy="Foreground")


def _conditions(batch: Any, job: str, namespace: str) -> list[Any]:
    return batch.read_namespaced_job(job, namespace, _request_timeout=ANSWER_SECONDS).status.conditions or []


def _said(core: Any, namespace: str, job: str) -> str:
    """The last lines that a pod of the Job logged."""
    pods = core.list_namespaced_pod(namespace, label_selector=f"job-name={job}").items
    if not pods:
        return ""
    log: str = core.read_namespaced_pod_log(pods[-1].metadata.name, namespace, tail_lines=_LOG_LINES)
    return f": {' '.join(log.split())}"
