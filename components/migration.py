"""The migration of the database to what an image wants: one Job for each image, whichever tracks run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.container_defaults import SERVICE_UID, rollout_wait, service_resources
from components.migration_name import migration_name
from components.pod import Labels, migration_app, restricted_container, restricted_pod
from contract.settings import ServiceSettings

RETRIES = 2


@dataclass(frozen=True)
class MigrationArgs:
    """``configured`` is what the config says of the image, ``image`` what that is; ``env_from`` as the pods have it.

    The Job waits for the resources in ``after``. With ``built_before`` it may be the Job of an image that was built
    from source and that the config names by its digest now: the same image is not migrated to again then.
    """

    configured: str
    image: pulumi.Input[str]
    service: ServiceSettings
    namespace: pulumi.Input[str]
    env_from: Sequence[k8s.core.v1.EnvFromSourceArgsDict]
    after: Sequence[pulumi.Resource] = ()
    built_before: bool = False


def migration_job(args: MigrationArgs, opts: pulumi.ResourceOptions) -> k8s.batch.v1.Job:
    """The Job that pods of the image wait for.

    Its name in the cluster is generated, so that a failed one's successor can run before that is removed.
    """
    service = args.service
    labels = Labels(app=migration_app(service.name), part_of=service.name)
    container = restricted_container(
        {
            "name": "migrate",
            "image": args.image,
            "args": service.migrate_command[1:],
            "command": service.migrate_command[:1],
            "env_from": args.env_from,
            "resources": service_resources(service),
            "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108 inside the container
        }
    )
    pod = restricted_pod(
        SERVICE_UID,
        {
            "containers": [container],
            "restart_policy": "Never",
            "volumes": [{"name": "tmp", "empty_dir": {}}],
        },
    )
    aliases = [pulumi.Alias(name=migration_name(service.name, ""))] if args.built_before else []
    return k8s.batch.v1.Job(
        migration_name(service.name, args.configured),
        metadata={
            "namespace": args.namespace,
            "labels": labels.all,
            # A migration that failed is run again by the next `up`.
            "annotations": {"pulumi.com/replaceUnready": "true", **rollout_wait(service)},
        },
        spec={
            "backoff_limit": RETRIES,
            "active_deadline_seconds": service.rollout_timeout_seconds,
            "template": {"metadata": {"labels": labels.all}, "spec": pod},
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(args.after), aliases=aliases)),
    )
