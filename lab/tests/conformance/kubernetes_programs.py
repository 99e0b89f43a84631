"""Pulumi programs of the Kubernetes conformance tests. `program` fills in the `$` names."""

from __future__ import annotations

from string import Template

from lab.tests.conformance.kubernetes_cluster import IMAGE, Namespace

HEAD = """\
import pulumi
import pulumi_kubernetes as k8s

provider = k8s.Provider("provider", kubeconfig="$kubeconfig", namespace="$namespace", $arguments)
options = pulumi.ResourceOptions(provider=provider)
"""

OBJECTS = """
auto = k8s.core.v1.ConfigMap("auto", data={"key": "$value"}, opts=options)
secret = k8s.core.v1.Secret("secret", metadata={"name": "secret"}, string_data={"password": "$password"}, opts=options)
policy = k8s.networking.v1.NetworkPolicy(
    "policy", metadata={"name": "policy", "labels": {"a.b/c": "$label"}}, spec={"pod_selector": {}}, opts=options
)
pulumi.export("name", auto.metadata.name)
"""

EXISTING = """
existing = k8s.core.v1.ConfigMap("existing", metadata={"name": "existing"}, data={"key": "$value"},
                                 opts=pulumi.ResourceOptions(provider=provider, import_=$import_))
"""

UNKNOWN_PROVIDER = """
first = k8s.core.v1.ConfigMap("first", data={}, opts=options)
kubeconfig = first.metadata.uid.apply(lambda uid: "$kubeconfig")
later = k8s.Provider("later", kubeconfig=kubeconfig, namespace="$namespace", cluster_identifier="this one")
second = k8s.core.v1.ConfigMap("second", metadata={"name": "second"}, data={"key": "value"},
                               opts=pulumi.ResourceOptions(provider=later))
"""

WORKLOAD = """
labels = {"app": "web"}
web = k8s.apps.v1.Deployment(
    "web",
    metadata={"name": "web", "annotations": {"pulumi.com/timeoutSeconds": "$timeout"}},
    spec={
        "replicas": $replicas,
        "progress_deadline_seconds": 600,
        "selector": {"match_labels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "host_network": False,
                "termination_grace_period_seconds": 1,
                "containers": [{
                    "name": "web",
                    "image": "$image",
                    "command": ["python", "-c", "import time; time.sleep(3600)"],
                    "env": [{"name": "VERSION", "value": "$version"}],
                    # The API server stores these quantities in another form.
                    "resources": {
                        "requests": {"cpu": "0.01", "memory": "16384Ki"},
                        "limits": {"cpu": "1000m", "memory": "0.25Gi", "ephemeral-storage": "1e9"},
                    },
                }],
            },
        },
    },
    opts=options,
)
"""

SERVICE = """
service = k8s.core.v1.Service(
    "service",
    metadata={"name": "service"},
    spec={"type": "LoadBalancer", "selector": labels, "ports": [{"port": 80, "target_port": 3000}]},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[web]),
)
pulumi.export("address", service.status.load_balancer.ingress[0].ip)
"""

JOB = """
job = k8s.batch.v1.Job(
    "job",
    metadata={"name": "job", "annotations": {"pulumi.com/replaceUnready": "true"}},
    spec={
        "backoff_limit": 0,
        "template": {"spec": {
            "restart_policy": "Never",
            "containers": [{"name": "job", "image": "$image", "command": ["python", "-c", "$command"]}],
        }},
    },
    opts=options,
)
"""

# No registry has this name, so the kubelet cannot pull it.
MISSING_IMAGE = "no-such-registry.invalid/nothing:1"
_DEFAULTS = {"arguments": "", "image": IMAGE, "replicas": "2", "version": "1", "timeout": "120", "import_": "None"}


def program(namespace: Namespace, *parts: str, **values: object) -> str:
    """Return a program of these parts in the namespace."""
    known = {**_DEFAULTS, "kubeconfig": str(namespace.kubeconfig), "namespace": namespace.name}
    return Template("".join((HEAD, *parts))).substitute({**known, **values})
