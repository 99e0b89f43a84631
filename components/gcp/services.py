"""The APIs that the project needs."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from components.component import Component

#: APIs for network, cluster, images and their scanning, database and its private address, DNS and IAM.
SERVICES = (
    "compute",
    "container",
    "artifactregistry",
    "containerscanning",
    "sqladmin",
    "servicenetworking",
    "dns",
    "iam",
    "cloudresourcemanager",
)


class ProjectServices(Component):
    """Enabled APIs. They stay enabled after `destroy`, because others in the project may use them."""

    #: The APIs, for other resources to wait for.
    enabled: Sequence[pulumi.Resource]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:ProjectServices", name, opts)
        self.enabled = [
            gcp.projects.Service(
                service,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in SERVICES
        ]
        self.register_outputs({"services": list(SERVICES)})
