"""Cases of `diagnose` as data: objects of a namespace, and the cause to find. The messages are real clusters'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.promotion.namespace import (
    CANARY_POD,
    CRASHED,
    IMAGE,
    JUST_NOW,
    LONG_AGO,
    RUNNING,
    ended,
    event,
    meta,
    pod,
    waiting,
)


@dataclass(frozen=True)
class Case:
    """``cause`` is that of the one finding, "" if nothing is wrong; its sentence or evidence contains ``words``.

    ``log`` and ``answer`` are what the pods log and answer to a probe.
    """

    cause: str
    objects: dict[str, Any]
    words: str = ""
    log: tuple[str, ...] = ()
    answer: str = ""

    def __str__(self) -> str:
        return self.cause or "nothing"


def _waits(cause: str, reason: str, message: str) -> Case:
    """A container that has never started."""
    return Case(cause, {"pods": [pod(state=waiting(reason, message), phase="Pending")]}, message)


PULL = 'failed to resolve reference "registry.example/shop": '
WAITING = [
    _waits("image-not-found", "ErrImagePull", f"{PULL}registry.example/shop@sha256:aa: not found"),
    _waits("image-not-found", "ErrImagePull", "manifest unknown: manifest unknown"),
    _waits("image-pull-denied", "ImagePullBackOff", f"{PULL}failed with status code [manifests 1]: 401 Unauthorized"),
    _waits("image-pull-denied", "ErrImagePull", "pull access denied, repository does not exist: authorization failed"),
    _waits("registry-unreachable", "ErrImagePull", f"{PULL}dial tcp 10.0.0.1:443: connect: connection refused"),
    _waits("registry-unreachable", "ErrImagePull", "lookup registry.example: no such host"),
    _waits("registry-unreachable", "ErrImagePull", "http: server gave HTTP response to HTTPS client"),
    _waits("registry-unreachable", "ErrImagePull", "x509: certificate signed by unknown authority"),
    _waits("image-pull-limit", "ErrImagePull", "toomanyrequests: You have reached your pull rate limit"),
    _waits("image-platform", "ErrImagePull", "no match for platform in manifest: not found"),
    _waits("node-disk-full", "ErrImagePull", "write /var/lib/x: no space left on device"),
    _waits("image-name-invalid", "InvalidImageName", "couldn't parse image name: invalid reference format"),
    _waits("image-pull-failed", "ErrImagePull", "something new"),
    _waits("missing-secret", "CreateContainerConfigError", 'secret "db-params" not found'),
    _waits("missing-config-map", "CreateContainerConfigError", 'configmap "shop-config" not found'),
    _waits("container-config", "CreateContainerConfigError", "something new"),
    _waits("wrong-command", "RunContainerError", 'exec: "x": executable file not found in $PATH: unknown'),
    _waits("wrong-command", "RunContainerError", 'exec: "/x": permission denied: unknown'),
    _waits("image-platform", "RunContainerError", "exec /x: exec format error"),
    _waits("container-start", "RunContainerError", "something new"),
]


def _ends(cause: str, end: Any, words: str = "4 restarts", **more: Any) -> Case:
    """A container that keeps ending."""
    return Case(cause, {"pods": [pod(state=CRASHED, last=end, restarts=4, **more)]}, words)


LIMITED = {"resources": {"limits": {"memory": "16Mi"}}}
LOST = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
ENDED = [
    _ends("crash-at-start", ended(3)),
    _ends("crash-later", ended(1, lived=60), "ended 60 s after its start"),
    _ends("crash-later", ended(139, lived=60), "exit code 139 (SIGSEGV)"),
    _ends("out-of-memory", ended(137, "OOMKilled"), "limit of 16Mi", container=LIMITED),
    _ends("ends-by-itself", ended(0, "Completed")),
    _ends("wrong-command", ended(127)),
    _ends("wrong-command", ended(126)),
    _ends("wrong-command", ended(128, "StartError", message='exec: "/x": stat /x: no such file or directory'), "`/x`"),
    _ends("node-restarted", ended(255, "Unknown", lived=900)),
    _ends("node-restarted", LOST),
]


def _killed(cause: str, code: int, message: str) -> Case:
    """A container that ended, and was killed by a probe some time before."""
    broken = pod(state=CRASHED, last=ended(code), restarts=4)
    return Case(cause, {"pods": [broken], "events": [event(broken, "Killing", message, "Normal", LONG_AGO)]})


def _not_ready(cause: str, message: str, words: str, **case: Any) -> Case:
    """A running container whose readiness probe fails."""
    readiness = {
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "timeoutSeconds": 5},
        "ports": [{"name": "http", "containerPort": 3000}],
    }
    broken = pod(state=RUNNING, container=readiness)
    events = [event(broken, "Unhealthy", f"Readiness probe failed: {message}")]
    return Case(cause, {"pods": [broken], "events": events}, words, **case)


READINESS = "failing-readiness-probe"
TIMEOUT = "context deadline exceeded"
PROBES = [
    _killed("failing-liveness-probe", 137, "Container main failed liveness probe, will be restarted"),
    _killed("failing-startup-probe", 137, "Container main failed startup probe, will be restarted"),
    # An old kill does not explain a crash.
    _killed("crash-at-start", 1, "Container main failed liveness probe, will be restarted"),
    _not_ready(READINESS, "HTTP probe failed with statuscode: 500", "(GET /ready on port 3000) fails: it is answered"),
    _not_ready(READINESS, "HTTP probe failed with statuscode: 500", "answered with status 500"),
    _not_ready(READINESS, 'Get "http://10.0.0.7:3000/": connect: connection refused', "nothing listens on that port"),
    _not_ready(READINESS, TIMEOUT, "no answer within 5 s"),
    # An error that the pod answers now says more than an earlier timeout.
    _not_ready(READINESS, TIMEOUT, "answered with status 500", answer="500: not yet"),
    _not_ready(READINESS, TIMEOUT, "asked now, it answers 500: not yet", answer="500: not yet"),
    _not_ready(READINESS, TIMEOUT, "no answer within 5 s", answer="200: fine"),
    _not_ready("database-unreachable", "statuscode: 500", "", answer='500: {"error": "The database did not answer."}'),
]


def _logs(cause: str, line: str) -> Case:
    """A crash with a log line about the database."""
    return Case(cause, {"pods": [pod(state=CRASHED, last=ended(1))]}, log=("starting", line, "stopping"))


DATABASE_POD = pod("shop-db-0", state=CRASHED, last=ended(1), metadata=meta("shop-db-0", track=None, app="shop-db"))
DATABASE = [
    _logs("database-unreachable", "The database cannot be reached: Name or service not known."),
    _logs("database-unreachable", "The database refuses connections: nothing listens on its port."),
    _logs("database-unreachable", 'could not translate host name "db" to address: Name or service not known'),
    _logs("database-unreachable", "SequelizeConnectionRefusedError: connect ECONNREFUSED 10.0.0.9:5432"),
    _logs("database-login", 'FATAL: password authentication failed for user "demouser"'),
    _logs("database-login", "The database does not let the user in: see DB_USER, DB_PASSWORD and DB_SSL."),
    _logs("database-full", "FATAL: sorry, too many clients already"),
    _logs("database-missing", 'FATAL: database "demo" does not exist'),
    _logs("schema-behind", 'relation "persons" does not exist'),
    # The database's own log is not about reaching the database.
    Case("crash-at-start", {"pods": [DATABASE_POD]}, log=("FATAL: the database system is starting up",)),
]


def _unscheduled(cause: str, message: str, words: str = "") -> Case:
    return Case(cause, {"pods": [pod(scheduled=message, phase="Pending")]}, words or message)


def _node(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "status": {"allocatable": {"memory": "3Gi", "cpu": "2"}, **status}}


def _requests(memory: str) -> dict[str, Any]:
    return {"resources": {"requests": {"memory": memory}}}


FULL_NODE = {
    "pods": [pod(scheduled="0/1: 1 Insufficient memory.", phase="Pending", container=_requests("4Gi"))],
    "nodes": [_node()],
    "pods_everywhere": [
        pod("other", ready=True, container=_requests("1Gi"), nodeName="one"),
        pod("done", phase="Succeeded", container=_requests("1Gi"), nodeName="one"),
    ],
}
SCHEDULING = [
    _unscheduled("no-memory", "0/1 nodes are available: 1 Insufficient memory."),
    _unscheduled("no-cpu", "0/1 nodes are available: 1 Insufficient cpu."),
    _unscheduled("no-resources", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "nvidia.com/gpu"),
    _unscheduled("no-resources", "0/1 nodes are available: 1 Too many pods."),
    _unscheduled("node-taint", "1 node(s) had untolerated taint {dedicated: db}.", "dedicated"),
    _unscheduled("node-taint", "0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
    _unscheduled("node-taint", "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }", "io/not-ready"),
    _unscheduled("node-cordoned", "0/1 nodes are available: 1 node(s) were unschedulable."),
    _unscheduled("volume-elsewhere", "0/1 nodes are available: 1 node(s) had volume node affinity conflict."),
    _unscheduled("volume-claim-missing", '0/1 nodes are available: persistentvolumeclaim "data" not found.'),
    _unscheduled("volume-claim-pending", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
    _unscheduled("no-nodes", "no nodes available to schedule pods"),
    _unscheduled("unschedulable", "0/1 nodes are available: something new"),
    Case("no-memory", FULL_NODE, "requests 4.0 GiB of memory"),
    Case("no-memory", FULL_NODE, "the emptiest has 2.0 GiB left of 3.0 GiB"),
    Case(
        "node-not-ready",
        {
            "pods": [pod(state=RUNNING, nodeName="one")],
            "nodes": [_node(conditions=[{"type": "Ready", "status": "Unknown"}])],
        },
    ),
]


def _stuck(cause: str, reason: str, message: str) -> Case:
    """A pod whose volumes or network cannot be set up."""
    broken = pod(state=waiting("ContainerCreating"), phase="Pending")
    return Case(cause, {"pods": [broken], "events": [event(broken, reason, message)]}, message)


FRESH = meta("a", owner="shop-canary-1", created=JUST_NOW)
SETUP = [
    _stuck("missing-secret", "FailedMount", 'MountVolume.SetUp failed for volume "x" : secret "certificate" not found'),
    _stuck("volume-mount", "FailedAttachVolume", "Multi-Attach error for volume"),
    _stuck("pod-network", "FailedCreatePodSandBox", "failed to setup network for sandbox"),
    Case("", {"pods": [pod(state=waiting("ContainerCreating"), metadata=FRESH)]}),
    Case("not-ready", {"pods": [pod(state=waiting("ContainerCreating"), phase="Pending")]}, "Ready is False"),
]


def _replica_set(refusal: str = "", created: str = LONG_AGO) -> dict[str, Any]:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": refusal}] if refusal else []
    metadata = meta("shop-canary-1", created=created)
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {"replicas": 0, "conditions": conditions}}


def _refused(cause: str, message: str, words: str) -> Case:
    return Case(cause, {"replica_sets": [_replica_set(message)]}, words)


QUOTA = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
REFUSED = [
    _refused("quota", f'pods "a" is forbidden: {QUOTA}', "pods=1 requested, pods=2 of pods=2 used"),
    _refused("quota", "failed quota: small: must specify limits.cpu for: main", "must specify limits.cpu"),
    _refused(
        "pod-security",
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged (container "main" must not)',
        "restricted:latest",
    ),
    _refused(
        "limit-range",
        'pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
        "is 1Gi, but limit is 2Gi",
    ),
    _refused("admission-webhook", 'admission webhook "signed.example" denied the request: no', "signed.example"),
    _refused("admission-webhook", 'failed calling webhook "signed.example": connection refused', "signed.example"),
    _refused("pods-refused", "something new", "refuses"),
    Case(
        "limit-range",
        {
            "replica_sets": [_replica_set()],
            "events": [event(_replica_set(), "FailedCreate", "minimum cpu usage per Pod is 1")],
        },
    ),
    Case("pods-not-made", {"replica_sets": [_replica_set()]}),
    Case("", {"replica_sets": [_replica_set(created=JUST_NOW)]}),
]


def _job(*conditions: dict[str, str], app: str = "shop-migrate", succeeded: int = 0, **spec: Any) -> dict[str, Any]:
    status = {"failed": 1, "succeeded": succeeded, "conditions": list(conditions)}
    return {"metadata": meta("shop-migrate-abcdef-1", app=app), "spec": spec, "status": status}


def _attempt(end: Any) -> dict[str, Any]:
    metadata = meta("shop-migrate-abcdef-1-a", owner="uid of shop-migrate-abcdef-1", app="shop-migrate")
    return pod("shop-migrate-abcdef-1-a", state={"terminated": end}, phase="Failed", metadata=metadata)


GIVEN_UP = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "backoff limit"}
TOO_LATE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "deadline"}
NOT_FOUND = 'exec: "migrate": executable file not found'
GONE_POD = {"metadata": {"uid": "gone", "name": "shop-migrate-abcdef-1-a"}}
JOBS = [
    Case("failed-migration", {"jobs": [_job(GIVEN_UP)], "pods": [_attempt(ended(1))]}, "exit code 1"),
    Case("failed-migration", {"jobs": [_job()], "pods": [_attempt(ended(1))]}, "1 failed attempts"),
    Case(
        "database-unreachable",
        {"jobs": [_job(GIVEN_UP)], "pods": [_attempt(ended(1))]},
        log=("The database refuses connections: nothing listens on its port.",),
    ),
    Case("out-of-memory", {"jobs": [_job(GIVEN_UP)], "pods": [_attempt(ended(137, "OOMKilled"))]}),
    Case("wrong-command", {"jobs": [_job(GIVEN_UP)], "pods": [_attempt(ended(128, "StartError", message=NOT_FOUND))]}),
    # The pods are gone; their events remain.
    Case(
        "image-not-found",
        {
            "jobs": [_job(TOO_LATE)],
            "events": [event(GONE_POD, "Failed", f'Failed to pull image "{IMAGE}": not found')],
        },
    ),
    Case("migration-too-slow", {"jobs": [_job(TOO_LATE, activeDeadlineSeconds=60)]}, "did not end within 60 s"),
    Case("job-too-slow", {"jobs": [_job(TOO_LATE, app="other", activeDeadlineSeconds=60)]}, "within 60 s"),
    Case("failed-job", {"jobs": [_job(GIVEN_UP, app="other")]}, "Job shop-migrate-abcdef-1 fails"),
    Case("", {"jobs": [_job(succeeded=1)], "pods": [_attempt(ended(1))]}),
]


def _deployment(**spec: Any) -> dict[str, Any]:
    late = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}]
    conditions = late if not spec else []
    return {"metadata": meta("shop-canary"), "spec": {"replicas": 1, **spec}, "status": {"conditions": conditions}}


def _service(**spec: Any) -> dict[str, Any]:
    own = {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"metadata": meta("shop-lb", track=None), "spec": own, "status": {}}


def _endpoints(ready: bool = True, ports: Any = ({"port": 3000},)) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "shop-lb"}
    return {
        "metadata": {"name": "slice", "labels": labels},
        "endpoints": [{"conditions": {"ready": ready}}],
        "ports": list(ports),
    }


def _balancer(status: Any = None, **objects: Any) -> dict[str, Any]:
    service = {**_service(type="LoadBalancer"), "status": status or {}}
    return {"services": [service], "endpoint_slices": [_endpoints()], **objects}


def _gateway(**conditions: tuple[str, str]) -> dict[str, Any]:
    listed = [{"type": kind, "status": status, "message": text} for kind, (status, text) in conditions.items()]
    return {
        "metadata": meta("shop-lb", track=None),
        "spec": {"gatewayClassName": "traefik"},
        "status": {"conditions": listed},
    }


UNANSWERED = _gateway(Accepted=("Unknown", "Waiting for controller"), Programmed=("Unknown", "Waiting for controller"))
WELL = pod("a", state=RUNNING, ready=True)
STARTING = pod("b", state=RUNNING, metadata=meta("b", created=JUST_NOW))
UNPULLED = pod(state=waiting("ErrImagePull", "not found"))
SYNC_FAILED = event(_service(), "SyncLoadBalancerFailed", "quota exceeded")
WORKLOADS = [
    Case("rollout-stuck", {"deployments": [_deployment()]}, "ProgressDeadlineExceeded"),
    Case("rollout-paused", {"deployments": [_deployment(paused=True)]}),
    Case("scaled-to-zero", {"deployments": [_deployment(replicas=0)]}),
    # The pod explains the rollout.
    Case("image-not-found", {"deployments": [_deployment()], "pods": [UNPULLED]}),
    Case("", {"services": [_service()], "endpoint_slices": [_endpoints()], "pods": [WELL]}),
    Case("no-endpoints", {"services": [_service()]}, "app=shop"),
    Case(
        "no-ready-endpoints",
        {"services": [_service()], "endpoint_slices": [_endpoints(ready=False)], "pods": [STARTING]},
        "none of the 1 pods",
    ),
    Case(
        "service-port",
        {"services": [_service()], "endpoint_slices": [_endpoints(ports=())], "pods": [WELL]},
        "port http",
    ),
    Case("", {"services": [_service(selector=None)]}),
    Case("load-balancer-pending", _balancer(), "no address yet"),
    Case("load-balancer-pending", _balancer(events=[SYNC_FAILED]), "quota exceeded"),
    Case("", _balancer({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})),
    Case("gateway-without-controller", {"gateways": [UNANSWERED]}, "class traefik"),
    Case("gateway-without-controller", {"gateways": [_gateway()]}),
    Case("gateway-not-programmed", {"gateways": [_gateway(Programmed=("False", "no such address"))]}, "such address"),
    Case("", {"gateways": [_gateway(Programmed=("True", "programmed"))]}),
]


def claim(phase: str = "Pending", storage_class: str | None = "fast") -> dict[str, Any]:
    spec = {"storageClassName": storage_class} if storage_class else {}
    return {"metadata": meta("data", track=None), "spec": spec, "status": {"phase": phase}}


ABSENT_CLASS = event(claim(), "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
CONSUMER = event(claim(), "WaitForFirstConsumer", "waiting for first consumer", "Normal")
CLAIMS = [
    Case("volume-claim-pending", {"claims": [claim()], "events": [ABSENT_CLASS]}, "storage class fast"),
    Case("volume-claim-pending", {"claims": [claim(storage_class=None)]}, "the cluster has no default one"),
    Case("volume-claim-pending", {"claims": [claim()]}, "has no volume yet"),
    Case("volume-lost", {"claims": [claim("Lost")]}),
    Case("", {"claims": [claim("Bound")]}),
    Case("", {"claims": [claim()], "events": [CONSUMER]}),
]

FINISHED = [
    Case("", {"pods": [pod("done", phase="Succeeded"), WELL]}),
    Case("", {"pods": [pod(state=RUNNING, last=ended(1, at="2026-01-01T09:00:00"), restarts=1, ready=True)]}),
]
CASES = [
    *WAITING, *ENDED, *PROBES, *DATABASE, *SCHEDULING, *SETUP, *REFUSED, *JOBS, *WORKLOADS, *CLAIMS, *FINISHED,
]  # fmt: skip
LOGGING_PODS = (CANARY_POD, "shop-db-0", "shop-migrate-abcdef-1-a")
