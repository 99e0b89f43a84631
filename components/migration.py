"""Migrate the database for an image: one Job per image, shared by the tracks that run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.container_defaults import SERVICE_UID, rollout_wait, service_resources, temporary_files
from components.environment import generated_name, plain_environment, secret_data
from components.migration_name import migration_name
from components.pod import Labels, migration_app, restricted_container, restricted_pod
from contract.platform import PodIdentity
from contract.settings import ServiceSettings

RETRIES = 2


@dataclass(frozen=True)
class MigrationArgs:
    """The image that migrates, and the Job's dependencies."""

    #: The image's config key: REPOSITORY@sha256:DIGEST, or built from source. It names the Job.
    configured: str
    #: The image that the Job runs.
    image: pulumi.Input[str]
    #: The service with the settings of the track that introduces the image.
    service: ServiceSettings
    namespace: pulumi.Input[str]
    #: Source of the platform's variables.
    platform: k8s.core.v1.EnvFromSourceArgsDict
    #: Name of the Secret with the registry's login; None if the nodes have one.
    pull_secret: pulumi.Input[str] | None = None
    #: The pod's identity in the cloud; None for none.
    identity: PodIdentity | None = None
    #: Resources that the Job waits for.
    after: Sequence[pulumi.Resource] = ()
    #: Whether an earlier update may have built the image that is pinned now. An alias then keeps its Job, so that the
    #: migration does not run twice.
    built_before: bool = False


def migration_job(args: MigrationArgs, opts: pulumi.ResourceOptions) -> k8s.batch.v1.Job:
    """Declare the Job that the image's pods wait for, and the Secret with its environment.

    Its name in the cluster is generated, so that a retry can run before the failed Job is removed. The Secret is the
    image's own and changes in place, so that new settings or a promotion do not run the migration again.
    """
    service = args.service
    labels = Labels(app=migration_app(service.name), part_of=service.name)
    aliases = [pulumi.Alias(name=migration_name(service.name, ""))] if args.built_before else []
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=aliases))
    environment = k8s.core.v1.Secret(
        migration_name(service.name, args.configured),
        metadata={"namespace": args.namespace, "labels": labels.all},
        data=secret_data({**plain_environment(service), **service.secret_environment}),
        opts=opts,
    )
    container = restricted_container(
        {
            "name": "migrate",
            "image": args.image,
            "args": service.migrate_command[1:],
            "command": service.migrate_command[:1],
            "env_from": [args.platform, {"secret_ref": {"name": generated_name(environment)}}],
            "resources": service_resources(service),
            "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108 inside the container
        }
    )
    pod = restricted_pod(
        SERVICE_UID,
        {
            "containers": [container],
            "restart_policy": "Never",
            "volumes": [temporary_files(service)],
        },
        args.pull_secret,
        args.identity,
    )
    return k8s.batch.v1.Job(
        migration_name(service.name, args.configured),
        metadata={
            "namespace": args.namespace,
            "labels": labels.all,
            # The next `up` runs a failed migration again.
            "annotations": {"pulumi.com/replaceUnready": "true", **rollout_wait(service)},
        },
        spec={
            "backoff_limit": RETRIES,
            "active_deadline_seconds": service.rollout_timeout_seconds,
            "template": {"metadata": {"labels": labels.all}, "spec": pod},
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(args.after))),
    )
