"""The rights of the service's pods in Google Cloud (Workload Identity Federation for GKE)."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from components.component import Component
from contract.platform import PodIdentity

#: Lets a Kubernetes service account act as a Google service account.
ROLE = "roles/iam.workloadIdentityUser"
#: Address and port that pods get credentials from, with Dataplane V2 (GKE documentation, Workload Identity), which
#: Autopilot always has.
METADATA_SERVER = ("169.254.169.254/32", 80)


@dataclass(frozen=True)
class WorkloadIdentityArgs:
    """The pods' namespace, and the Google account whose rights they get."""

    #: Name of the service.
    service: str
    namespace: pulumi.Input[str]
    #: Id of the cluster's project.
    project: str
    #: Email of the Google service account.
    account: str


class WorkloadIdentity(Component):
    """A Kubernetes service account that acts as a Google service account.

    Creates the permission and the Kubernetes service account. Pods need no token of it: GKE's metadata server hands
    out Google's short-lived tokens.
    """

    #: For the pods; known once the permission is granted.
    identity: PodIdentity

    def __init__(
        self,
        name: str,
        args: WorkloadIdentityArgs,
        kubernetes: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gcp:WorkloadIdentity", name, opts)
        pool = f"serviceAccount:{args.project}.svc.id.goog"
        member = pulumi.Output.concat(pool, "[", args.namespace, f"/{args.service}]")
        permission = gcp.serviceaccount.IAMMember(
            "pods",
            service_account_id=account_id(args.account),
            role=ROLE,
            member=member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        account = k8s.core.v1.ServiceAccount(
            "pods",
            metadata={
                "name": args.service,
                "namespace": args.namespace,
                "annotations": {"iam.gke.io/gcp-service-account": args.account},
            },
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=kubernetes, depends_on=[permission]),
        )
        self.identity = PodIdentity(account.metadata.apply(lambda data: data.name or ""), *METADATA_SERVER)
        self.register_outputs({"account": args.account})


def account_id(email: str) -> str:
    """Return the full id of the account with this email, which contains its project."""
    project = email.partition("@")[2].partition(".")[0]
    return f"projects/{project}/serviceAccounts/{email}"
