"""The login with which pods pull their images, where the nodes do not log in by themselves."""

from __future__ import annotations

from dataclasses import replace

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from contract.platform import Registry

NAME = "registry"


class PullSecret(Component):
    """A Secret with a registry's read-only login, in the namespace of the pods."""

    #: Name of the Secret.
    name: pulumi.Output[str]

    def __init__(
        self,
        config: pulumi.Output[str],
        namespace: pulumi.Input[str],
        kubernetes: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubernetes:PullSecret", "pull-secret", opts)
        secret = k8s.core.v1.Secret(
            "registry",
            metadata={"name": NAME, "namespace": namespace},
            type="kubernetes.io/dockerconfigjson",
            string_data={".dockerconfigjson": config},
            opts=pulumi.ResourceOptions(parent=self, provider=kubernetes),
        )
        self.name = secret.metadata["name"]
        self.register_outputs({"name": self.name})


def with_pull_secret(registry: Registry, namespace: pulumi.Input[str], kubernetes: k8s.Provider) -> Registry:
    """Return the registry with the Secret that its pods need; unchanged if its nodes log in by themselves."""
    if registry.pull_config is None:
        return registry
    return replace(registry, pull_secret=PullSecret(registry.pull_config, namespace, kubernetes).name)
