"""The table of causes: for each symptom, patterns with cause, sentence and remedy. The first pattern that matches wins.

Placeholders in braces are filled from the pattern's groups and from the caller's facts. A cause is an identifier for
scripts and never changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    pattern: str
    cause: str
    what: str
    remedy: str


class Reason(NamedTuple):
    """A cause with its sentence and its remedy, as in Finding."""

    cause: str
    what: str
    remedy: str


def find_reason(symptom: str, text: str, **facts: object) -> Reason | None:
    """Return the reason of the symptom's first rule that matches the text; None if no rule matches."""
    for rule in RULES[symptom]:
        if match := re.search(rule.pattern, text, re.IGNORECASE):
            values = {**facts, **{key: value for key, value in match.groupdict().items() if value}}
            return Reason(*(part.format(**values) for part in rule[1:]))
    return None


def explain(symptom: str, text: str = "", **facts: object) -> Reason:
    """Return the reason of a symptom that has a rule for every text."""
    reason = find_reason(symptom, text, **facts)
    assert reason, f"no rule for {symptom}: {text}"
    return reason


_UP = "the next `python -m promotion up`"
_CHECK_IMAGE = "`crane manifest {image}` asks the registry for it"
_IMAGE_KEY = "stableImage or canaryImage in the stack file"
_RESTORE = f"{_UP} restores what the release owns; if it is your own, create it in this namespace or correct its name"
_COMMAND = "correct the command: migrateCommand for a migration, otherwise CMD or ENTRYPOINT of the Dockerfile"
_PLATFORM = "set buildPlatform to the nodes' platform (`kubectl get nodes -o wide`), or use an image built for it"
_LOG = "the last lines of the log say why: fix the service or its environment, and build it again"
_PROBE = "make the service answer the probe with 200, or correct the probe: {key} and port in the stack file"
_EVIDENCE = "the evidence is the answer of Kubernetes"

# A table reads better than one argument a line.
# fmt: off
_MISSING = (
    Rule(r"secret \"?(?:[^\s\"]*/)?(?P<name>[^\s\"/]+)\"? not found", "missing-secret",
         "Secret {name}, which the pod reads, does not exist", _RESTORE),
    Rule(r"configmap \"?(?:[^\s\"]*/)?(?P<name>[^\s\"/]+)\"? not found", "missing-config-map",
         "ConfigMap {name}, which the pod reads, does not exist", _RESTORE),
)

#: A node cannot get the image; the text is the container's reason and the runtime's message without the image's name.
#: Denied comes before not found: a registry that hides its repositories answers both in one sentence.
_PULL = (
    Rule(r"invalid reference format|InvalidImageName|couldn't parse image", "image-name-invalid",
         "`{image}` is not a valid image name",
         f"correct {_IMAGE_KEY}: REPOSITORY@sha256:<64 hex digits>, in lower case"),
    Rule(r"toomanyrequests|too many requests|\b429\b|rate limit", "image-pull-limit",
         "the registry limits how often {image} is pulled",
         "wait until the limit is lifted, log the cluster in to the registry, or use the platform's own registry"),
    Rule(r"\b40[13]\b|unauthorized|forbidden|denied|no basic auth|authentication required|authorization failed",
         "image-pull-denied",
         "the registry does not let the cluster pull {image}",
         "let the cluster pull from this registry (see the page of your cloud), or use an image in the platform's own"
         f" registry; some registries also answer this for an image that does not exist: {_CHECK_IMAGE}"),
    Rule(r"no match for platform|does not match the specified platform|exec format error", "image-platform",
         "{image} was not built for the nodes' processors", _PLATFORM),
    Rule(r"not found|manifest unknown|name unknown|does not exist|\b404\b", "image-not-found",
         "the registry has no image {image}", f"correct {_IMAGE_KEY}, or push the image: {_CHECK_IMAGE}"),
    Rule(r"no space left on device", "node-disk-full",
         "a node's disk is full, so {image} cannot be stored",
         "remove unused images from the node, or give the nodes larger disks"),
    Rule(r"no such host|connection refused|i/o timeout|timeout|dial tcp|x509|tls|certificate|HTTP response to HTTPS"
         r"|EOF|reset by peer|unreachable", "registry-unreachable",
         "the node cannot reach the registry of {image}",
         "check that the registry runs and that the nodes reach it under that name (DNS, firewall, certificate)"),
    Rule("", "image-pull-failed",
         "the node cannot pull {image}",
         f"the evidence is the answer of the container runtime; {_CHECK_IMAGE}"),
)

#: The runtime cannot start a container; the text is its message.
_START = (
    Rule(r"exec format error", "image-platform", "the image was not built for the nodes' processors", _PLATFORM),
    Rule(r"(?:exec: \\?\"(?P<command>[^\"\\]+).*)?(executable file not found|no such file or directory)",
         "wrong-command",
         "`{command}` is not in the image", f"{_COMMAND}, or build an image that contains it"),
    Rule(r"(?:exec: \\?\"(?P<command>[^\"\\]+).*)?permission denied", "wrong-command",
         "`{command}` is in the image but is not executable",
         f"{_COMMAND}, or make the file executable for every user when you build the image"),
    Rule("", "container-start", "the container runtime cannot start the container", _EVIDENCE),
)

#: A container has ended; the text is reason, exit code, the probe that killed it, and early or late.
_END = (
    Rule(r"^OOMKilled", "out-of-memory",
         "the container uses more memory than its limit of {limit}",
         "raise memoryLimit in the stack file, or find out what uses so much: a leak reaches any limit"),
    Rule(r"^(Unknown|ContainerStatusUnknown)\b", "node-restarted",
         "the node or its container runtime restarted, and the container with it",
         "the release is not at fault; look at the node if it happens again"),
    Rule(r"probe=(?P<probe>\w+)", "failing-{probe}-probe",
         "the container is killed because its {probe} probe fails", _PROBE.format(key="livenessPath")),
    # A shell's exit codes for a command that it cannot find or run.
    Rule(r"code=127\b", "wrong-command", "a command that the container runs is not in the image", _COMMAND),
    Rule(r"code=126\b", "wrong-command", "a command that the container runs is not executable", _COMMAND),
    Rule(r"code=0\b", "ends-by-itself",
         "the container's process ends without an error (exit code 0), although a service must keep running",
         "run the service in the foreground (CMD or ENTRYPOINT of the Dockerfile)"),
    Rule("early", "crash-at-start", "the container crashes at its start with {exit}", _LOG),
    Rule("", "crash-later", "the container crashes after a while with {exit}", _LOG),
)

#: A log line or an answer of the service about its database: messages of drivers and of the addressbook's commands.
_DATABASE = (
    Rule(r"password authentication failed|no pg_hba\.conf entry|does not let the user in|role \S+ does not exist"
         r"|InvalidPassword", "database-login",
         "the database refuses the service's login",
         f"{_UP} writes the platform's user and password to Secret db-params; if the password was changed in the"
         " database, change it back"),
    Rule(r"remaining connection slots|too many (clients|connections)|has no connection left", "database-full",
         "the database has no free connection",
         "run fewer pods, lower DB_POOL_SIZE (environment in the stack file), or choose a larger databaseSize"),
    Rule(r"database \"?[\w-]+\"? does not exist|has no database of that name", "database-missing",
         "the database server has no database of that name",
         f"check DB_SCHEMA in Secret db-params; {_UP} creates the platform's database again if it was deleted"),
    Rule(r"relation \S+ does not exist|column \S+ does not exist|lacks the addressbook's tables|UndefinedTable"
         r"|UndefinedColumn", "schema-behind",
         "the database's tables are not those that this version needs",
         "its migration has not run on this database: check migrateCommand and the log of the migration Job"),
    Rule(r"The database (cannot be reached|refuses connections|did not answer|is starting up|offers no TLS)"
         r"|connection to the database was lost|certificate was refused|no common TLS settings"
         r"|could not connect to server|could not translate host name|connection to server at .* failed"
         r"|ECONNREFUSED.{0,40}5432|5432.{0,60}(refused|timed out|timeout)|SequelizeConnection\w*Error"
         r"|the database system is (starting up|shutting down)", "database-unreachable",
         "the service cannot reach its database",
         "check that the database runs, that its name resolves, and that its firewall and the NetworkPolicies let the"
         " pods in; `kubectl exec` of `addressbook ping` in a pod tests it"),
)

#: A probe keeps a running container from being ready; the text is the kubelet's event.
_PROBES = tuple(
    Rule(pattern, "failing-{kind}-probe", f"the {{kind}} probe{{request}} fails: {answer}", _PROBE)
    for pattern, answer in (
        (r"statuscode: (?P<status>\d+)", "it is answered with status {status}"),
        (r"connection refused", "nothing listens on that port"),
        (r"deadline exceeded|timeout|timed out", "no answer within {timeout} s"),
        ("", "see the evidence"),
    )
)

#: A pod's volumes or network cannot be set up; the text is the event.
_SETUP = (
    Rule(r"^FailedCreatePodSandBox", "pod-network",
         "the node cannot set up the pod's network",
         "look at the cluster's network plugin on that node; an exhausted address range for pods shows here too"),
    *_MISSING,
    Rule("", "volume-mount",
         "a volume of the pod cannot be attached or mounted",
         "the evidence is the storage driver's answer; a volume still held by another node is released within minutes"),
)

#: No node takes the pod; the text is the scheduler's message.
_UNSCHEDULABLE = (
    Rule(r"Insufficient (memory|cpu)\b", "no-{resource}",
         "the pod requests {requested}, and no node has that much free{room}",
         "lower {resource}Request in the stack file, or add or enlarge nodes (nodeCount, nodeSize)"),
    Rule(r"Insufficient (?P<other>\S+?)[.,]", "no-resources",
         "no node has the {other} that the pod requests", "request less, or add nodes that have it"),
    Rule(r"Too many pods", "no-resources",
         "the nodes run as many pods as they are allowed to", "add nodes (nodeCount in the stack file)"),
    Rule(r"persistentvolumeclaim \"(?P<claim>[^\"]+)\" not found", "volume-claim-missing",
         "PersistentVolumeClaim {claim}, which the pod mounts, does not exist",
         f"{_UP} creates it again if the release owns it; data in a deleted volume is lost"),
    Rule(r"unbound immediate PersistentVolumeClaims", "volume-claim-pending",
         "the pod waits for a volume that does not exist yet", "the claim's own block says why"),
    Rule(r"volume node affinity conflict|didn't find available persistent volumes", "volume-elsewhere",
         "the pod's volume is on a node, or in a zone, that cannot take the pod",
         "bring back that node, or one in the same zone; a local volume cannot move"),
    Rule(r"untolerated taint.*(?P<taint>node\.kubernetes\.io/[^}:,]*)", "node-taint",
         "the nodes keep pods off with the taint {taint}",
         "Kubernetes sets this taint on a node with problems and removes it later: `kubectl describe nodes` says more"),
    Rule(r"untolerated taint(?:\(s\)|s)?(?: ?\{(?P<taint>[^}:,]+))?", "node-taint",
         "the nodes keep pods off with a taint: {taint}",
         "remove the taint (`kubectl taint nodes NODE TAINT-`), or add nodes without it"),
    Rule(r"were unschedulable", "node-cordoned",
         "the nodes are cordoned: they take no new pods", "`kubectl uncordon NODE` opens a node again"),
    Rule(r"no nodes available|0/0 nodes", "no-nodes",
         "the cluster has no node", "check that its node pool runs (nodeCount in the stack file)"),
    Rule("", "unschedulable", "no node takes the pod", "the evidence is the scheduler's reason for each node"),
)

#: The API server refuses to create a pod; the text is its message.
_REFUSED = (
    Rule(r"exceeded quota: (?P<quota>\S+), requested: (?P<asked>.*), used: (?P<used>.*), limited: (?P<limit>.*)",
         "quota",
         "quota {quota} of the namespace is used up: {asked} requested, {used} of {limit} used",
         "run fewer or smaller pods, or have the quota raised; a rollout needs room for a quarter more pods"),
    Rule(r"failed quota: (?P<quota>\S+): (?P<rule>must specify .*)", "quota",
         "quota {quota} requires every pod to state its resources: {rule}",
         "have a LimitRange set defaults in the namespace, or have the quota changed"),
    Rule(r"violates PodSecurity \"(?P<standard>[^\"]+)\": (?P<violation>.*)", "pod-security",
         "Pod Security Standard {standard} refuses the pod: {violation}",
         "find out what changed the pod (a mutating webhook, a sidecar, a manual edit): the release's own pods comply"
         " with `restricted`"),
    Rule(r"(?P<rule>(?:maximum|minimum) \S+ usage per \w+ is [^,.]+(?:, but \S+ is [^,.]+)?)", "limit-range",
         "a LimitRange of the namespace refuses the pod: {rule}",
         "set cpuRequest, memoryRequest and memoryLimit within it, or have it changed"),
    Rule(r"(?:admission webhook|failed calling webhook) \"(?P<webhook>[^\"]+)\"", "admission-webhook",
         "admission webhook {webhook} refuses the pod, or does not answer",
         "its reason is in the evidence; if it does not answer, check that its own pods run"),
    Rule("", "pods-refused", "the API server refuses to create the pods", _EVIDENCE),
)

#: A Job has failed; the text is the reason of its condition and whether it is a migration.
_JOB = (
    Rule(r"DeadlineExceeded migration", "migration-too-slow",
         "the migration of the database did not end within {seconds} s",
         "raise rolloutTimeoutSeconds in the stack file, or find out what it waits for: often a lock in the database"),
    Rule(r"migration", "failed-migration",
         "the migration of the database fails{exit}",
         "its log says why; the tables are as the last completed step left them. Fix the migration and build the image"
         f" again: {_UP} runs it"),
    Rule(r"DeadlineExceeded", "job-too-slow",
         "Job {job} did not end within {seconds} s",
         "raise rolloutTimeoutSeconds in the stack file, or find out what it waits for"),
    Rule("", "failed-job", "Job {job} fails{exit}", "its log says why"),
)

_DEPLOYMENT = (
    Rule(r"paused", "rollout-paused",
         "the rollout is paused, so the Deployment's pods stay as they are",
         "`kubectl rollout resume deployment/{name}`"),
    Rule(r"scaled to zero", "scaled-to-zero",
         "the Deployment is scaled to 0 pods, which the release never does",
         f"it was scaled manually; {_UP} reverts that"),
    Rule("", "rollout-stuck",
         "the rollout has made no progress for longer than allowed",
         "`kubectl describe deployment` and `kubectl get events` show more"),
)

_SERVICE = (
    Rule(r"no pods", "no-endpoints",
         "Service {name} selects {selector}, and no pod has those labels",
         f"correct the selector; the public Service's follows `traffic` in the stack file, and {_UP} reverts manual"
         " changes"),
    Rule(r"no ready pods", "no-ready-endpoints",
         "none of the {count} pods behind Service {name} is ready, so no request is answered",
         "fix the pods: their own blocks say how"),
    Rule("", "service-port",
         "Service {name} sends to port {ports}, which its pods do not have",
         "set targetPort to a port of the container; the release's own Services use `http` and `metrics`"),
)

_ADDRESS = (
    Rule(r"refused", "load-balancer-pending",
         "LoadBalancer Service {name} gets no address",
         "the evidence is the cloud's answer: often a quota, or no free addresses"),
    Rule("", "load-balancer-pending",
         "LoadBalancer Service {name} has no address yet",
         "check that something in the cluster assigns addresses: a cloud's controller (minutes are normal there), or"
         " MetalLB, `minikube tunnel` and the like on one machine"),
)

_GATEWAY = (
    Rule(r"no controller", "gateway-without-controller",
         "no controller answers for Gateway {name}: nothing in the cluster serves its class {gateway_class}",
         "correct `gateway` in the stack file (`kubectl get gatewayclass` lists the classes), or install the class's"
         " controller; with `gateway: traefik`, look at the pods of Traefik in the namespace"),
    Rule("", "gateway-not-programmed",
         "Gateway {name} of class {gateway_class} has no load balancer yet",
         "the evidence is the controller's answer; minutes are normal for a cloud's new load balancer"),
)

#: A volume claim is not bound; the text is its phase, its storage class and its newest event.
_CLAIM = (
    Rule(r"^Lost", "volume-lost",
         "the volume of PersistentVolumeClaim {name} is gone, with its data",
         "restore a backup into a new claim"),
    Rule(r"storageclass.*not found", "volume-claim-pending",
         "PersistentVolumeClaim {name} asks for storage class {storage_class}, which the cluster does not have",
         "use one of the classes that `kubectl get storageclass` lists"),
    Rule(r"no storage class is set|class=;$", "volume-claim-pending",
         "PersistentVolumeClaim {name} names no storage class, and the cluster has no default one",
         "install a storage driver, or mark a storage class as the default"),
    Rule("", "volume-claim-pending",
         "PersistentVolumeClaim {name} has no volume yet",
         "the evidence is the storage driver's answer; without one, no driver serves the claim's class"),
)

_POD = (
    Rule(r"node lost", "node-not-ready",
         "node {node} does not answer",
         "`kubectl describe node {node}` says why; Kubernetes replaces its pods on other nodes after five minutes"),
    Rule(r"ended by its node", "evicted",
         "the node ended the pod ({reason})",
         "if the pod exceeded its own limit, raise ephemeralStorage; otherwise the node was short of memory or disk:"
         " give the pods requests that match their use, or add nodes"),
    Rule(r"not created", "pods-not-made",
         "Kubernetes does not create the requested pods",
         "check that the cluster's controller manager runs; a rollout that has just begun may need some seconds"),
    Rule(r"errors in log", "errors-in-log",
         "the {track} pods are ready, and their log shows errors",
         "the lines say more; if this version is at fault, roll it back"),
    Rule("", "not-ready",
         "the pod is not ready, and Kubernetes does not say why",
         "`kubectl describe pod {name}` shows more; check that the node and its kubelet are well"),
)

# fmt: on

RULES: Mapping[str, Sequence[Rule]] = {
    "pull": _PULL,
    "configuration": (
        *_MISSING,
        Rule("", "container-config", "the container's settings are invalid", _EVIDENCE),
    ),
    "start": _START,
    "end": _END,
    "database": _DATABASE,
    "probe": _PROBES,
    "setup": _SETUP,
    "unschedulable": _UNSCHEDULABLE,
    "refused": _REFUSED,
    "job": _JOB,
    "deployment": _DEPLOYMENT,
    "service": _SERVICE,
    "address": _ADDRESS,
    "gateway": _GATEWAY,
    "claim": _CLAIM,
    "pod": _POD,
}
