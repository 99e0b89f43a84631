"""The environment variables of the service's pods, in a ConfigMap and a Secret of each track.

A container reads its environment when it starts. So a track's ConfigMap and Secret never change: new settings are new
objects, and the old ones are deleted only after the rollout that stops using them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.pod import Labels
from contract.settings import ServiceSettings

#: Hex digits of the content's hash in a ConfigMap's name.
CONTENT_DIGITS = 10


def plain_environment(service: ServiceSettings) -> dict[str, str]:
    """Return the plain variables, without those of the database."""
    metrics = {"METRICS_PORT": str(service.metrics_port)} if service.metrics_port else {}
    return {"NODE_ENV": "production", "PORT": str(service.port), **metrics, **service.environment}


def secret_data(values: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Output[str]]:
    """Return a Secret's data: the values in Base64."""
    return {
        key: pulumi.Output.secret(value).apply(lambda text: base64.b64encode(text.encode()).decode())
        for key, value in values.items()
    }


def track_environment(
    labels: Labels, service: ServiceSettings, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[k8s.core.v1.EnvFromSourceArgsDict]:
    """Declare the track's ConfigMap and, if it has secret variables, its Secret; return both as sources.

    The ConfigMap and its resource are named by its content. After a failed rollout the state still has the previous
    one, and a roll-back returns to it. The Secret's name is generated, because a name derived from the content would
    either reveal the secret or be known too late to name the resource.
    """
    prefix = f"{service.name}-{labels.track}"
    plain = plain_environment(service)
    content = hashlib.sha256(json.dumps(sorted(plain.items())).encode()).hexdigest()[:CONTENT_DIGITS]
    name = f"{prefix}-config-{content}"
    config = k8s.core.v1.ConfigMap(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels.all},
        data=plain,
        immutable=True,
        opts=opts,
    )
    sources: list[k8s.core.v1.EnvFromSourceArgsDict] = [{"config_map_ref": {"name": config.metadata["name"]}}]
    if service.secret_environment:
        secret = k8s.core.v1.Secret(
            f"{prefix}-secrets",
            metadata={"namespace": namespace, "labels": labels.all},
            data=secret_data(service.secret_environment),
            immutable=True,
            opts=opts,
        )
        sources.append({"secret_ref": {"name": generated_name(secret)}})
    return sources


def generated_name(secret: k8s.core.v1.Secret) -> pulumi.Output[str]:
    """Return the name that the provider generated for the Secret."""
    return secret.metadata.apply(lambda metadata: metadata.name or "")
