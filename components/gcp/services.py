"""The APIs that the project must have enabled before anything is made in it."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from components.component import Component

#: What the platform uses: network, cluster, images and their scanning, database and its private address, names, rights.
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
    """Enabled APIs. Outputs ``enabled``, the resources to wait for.

    They stay enabled on `destroy`: others in the project may use them, and disabling one breaks those.
    """

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
