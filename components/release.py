"""The release: stable, the canary, and the public Service that shares the users between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.component import Component
from components.environment import secret_data
from components.fingerprint import fingerprint
from components.gateway import PublicGateway, PublicGatewayArgs
from components.image import SourceImage, SourceImageArgs
from components.image_copy import ImageCopy, copy_if_by_digest
from components.metrics_discovery import pod_monitor
from components.migration import MigrationArgs, migration_job
from components.migration_name import migration_name
from components.network_policies import ServicePolicyArgs, deny_by_default, gateway_policy, service_policy
from components.pod import Labels
from components.public_service import load_balancer_address, public_service
from components.shares import traffic_shares
from components.track import Track, TrackArgs, TrackName
from components.traefik import Traefik, TraefikArgs
from contract.image import digest_of
from contract.platform import Gateway, OwnTraefik, Platform, ServiceReference
from contract.settings import CanaryKeys, ReleaseSettings, ServiceSettings

#: Name of the Secret with the database's connection.
DATABASE_SECRET = "db-params"  # noqa: S105 the name of a Secret, not its content
FINGERPRINT_KEY_LENGTH = 32
#: Hex digits of the version in a cookie's name.
VERSION_DIGITS = 8


@dataclass(frozen=True)
class ReleaseArgs:
    """What is released, and where."""

    platform: Platform
    #: Which image each track runs, and in how many pods.
    release: ReleaseSettings
    service: ServiceSettings
    #: What differs in the canary's pods.
    canary: CanaryKeys
    #: Images that are not known to be in the platform's registry.
    images_to_copy: Set[str] = frozenset()
    #: HTTP path of the pods' metrics.
    metrics_path: str = "/metrics"


class Release(Component):
    """A service in the cluster, in one or two versions.

    Creates the image (if a track is built from source), copies of images from other registries, the Secret with the
    database's connection, a migration Job per image, a Track for stable and one for the canary, each with its own
    settings, the public Service ``<service>-lb``, a Gateway if the platform has one, a PodDisruptionBudget, a
    PodMonitor if the service asks for one, the NetworkPolicies of its pods, and one that denies everything else in the
    namespace.

    Stable waits for the canary, so it gives up pods only once the canary's are ready. The engine deletes last, so the
    canary is removed only once stable is complete.
    """

    #: Address for users.
    url: pulumi.Output[str]
    #: Stack outputs: ``url``, ``address`` (of the load balancer, if the service has a host name), ``namespace``,
    #: ``service``, ``traffic``, ``sharedBy`` (``weight``, if the users are not shared by pods), ``tracks`` (image,
    #: replicas, share in %, and the names of the canary's settings) and ``sourceImage``.
    outputs: dict[str, Any]

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("release:Release", name, opts)
        self._args = args
        self._canary_service = args.canary.over(args.service)
        self._kubernetes = args.platform.kubernetes
        self._namespace = args.platform.namespace
        self._labels = Labels(app=args.service.name, part_of=args.service.name)
        self._options = pulumi.ResourceOptions(parent=self, provider=self._kubernetes)

        self._source = self._source_image() if args.release.builds_from_source else None
        self._copies = self._image_copies()
        self._key = random.RandomPassword(
            "fingerprint-key", length=FINGERPRINT_KEY_LENGTH, opts=pulumi.ResourceOptions(parent=self)
        ).result
        self._database, self._fingerprint = self._platform_environment()
        self._policies = self._network_policies()
        self._migrations: dict[str, k8s.batch.v1.Job] = {}
        tracks: dict[str, Track] = {}
        if args.release.has_canary:
            tracks["canary"] = self._track("canary", args.release.canary_image, args.release.canary_replicas)
        tracks["stable"] = self._track(
            "stable",
            args.release.stable_image,
            args.release.stable_replicas,
            after=[track.deployment for track in tracks.values()],
        )
        self._disruption_budget()
        if args.service.metrics_discovery == "podMonitor":
            pod_monitor(args.service, self._metadata(args.service.name), args.metrics_path, self._options)
        public = self._public_service(tracks)

        entrance = args.platform.entrance
        gateway = self._gateway(entrance.gateway, public, tracks) if entrance.gateway else None
        address = gateway.address if gateway else load_balancer_address(public)
        self.url = pulumi.Output.concat(f"{entrance.scheme}://", entrance.hostname or address)
        if entrance.publish:
            entrance.publish(address, pulumi.ResourceOptions(parent=self, depends_on=[gateway or public]))
        shares = traffic_shares(args.release)
        self.outputs = {
            "url": self.url,
            **({"address": address} if entrance.hostname else {}),
            "namespace": self._namespace,
            "service": args.service.name,
            "traffic": args.release.traffic,
            **({"sharedBy": "weight"} if args.release.has_weights else {}),
            "tracks": {
                name: {
                    "image": track.image,
                    "replicas": shares[name].replicas,
                    "share": shares[name].percent,
                    **({"settings": args.canary.differing} if name == "canary" and args.canary.differing else {}),
                }
                for name, track in tracks.items()
            },
            **({"sourceImage": self._source.digest} if self._source else {}),
        }
        self.register_outputs(self.outputs)

    def _source_image(self) -> SourceImage:
        service = self._args.service
        return SourceImage(
            "source",
            SourceImageArgs(
                repository=service.name,
                registry=self._args.platform.registry,
                context=service.context_folder,
                dockerfile=service.dockerfile,
                platform=service.build_platform,
                build_args=service.build_args,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _image_copies(self) -> dict[str, ImageCopy]:
        """Return the copies by digest, so that two names of one image share a copy; ``source`` is this run's build."""
        registry, service = self._args.platform.registry, self._args.service.name
        images: dict[str, str | pulumi.Output[str]] = {
            digest_of(image): image for image in sorted(self._args.images_to_copy)
        }
        if self._source and self._args.release.unpinned and registry.removes_builds:
            images["source"] = self._source.digest
        return {
            key: ImageCopy(image, registry, service, opts=pulumi.ResourceOptions(parent=self))
            for key, image in images.items()
        }

    def _image(self, configured: str) -> pulumi.Input[str]:
        """Return the image that a track's pods run, from the one in its config."""
        if self._source and configured in ("", "source"):
            return self._copies["source"].image if "source" in self._copies else self._source.digest
        return self._copies[digest_of(configured)].image if configured in self._args.images_to_copy else configured

    def _track(self, track: TrackName, image: str, replicas: int, after: Sequence[pulumi.Resource] = ()) -> Track:
        return Track(
            TrackArgs(
                track=track,
                image=self._image(image),
                replicas=replicas,
                service=self._canary_service if track == "canary" else self._args.service,
                namespace=self._namespace,
                platform=self._database,
                fingerprint=self._fingerprint,
                pull_secret=self._args.platform.registry.pull_secret,
                metrics_path=self._args.metrics_path,
                has_zones=self._args.platform.has_zones,
                identity=self._args.platform.pod_identity,
                after=[*self._policies, *after, *self._migration(image, after)],
            ),
            kubernetes=self._kubernetes,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _migration(self, image: str, after: Sequence[pulumi.Resource]) -> list[k8s.batch.v1.Job]:
        """Return the image's migration, if the service has one. Tracks share it, so a promotion does not migrate.

        The canary's settings apply only to an image that stable does not run.
        """
        name = migration_name(self._args.service.name, image)
        is_stable_image = name == migration_name(self._args.service.name, self._args.release.stable_image)
        service = self._args.service if is_stable_image else self._canary_service
        migrated = self._args.release.migrated_image
        if not service.migrate_command or (migrated and digest_of(image) == migrated):
            return []
        if name not in self._migrations:
            self._migrations[name] = migration_job(
                MigrationArgs(
                    configured=image,
                    image=self._image(image),
                    service=service,
                    namespace=self._namespace,
                    platform=self._database,
                    pull_secret=self._args.platform.registry.pull_secret,
                    identity=self._args.platform.pod_identity,
                    after=[*self._policies, *after],
                    built_before=is_stable_image and not self._args.release.unpinned,
                ),
                self._options,
            )
        return [self._migrations[name]]

    def _platform_environment(self) -> tuple[k8s.core.v1.EnvFromSourceArgsDict, pulumi.Output[str]]:
        """Return the source of the database's variables, and the fingerprint that restarts the pods on a change.

        Both tracks share them: a rotated password must reach all pods at once.
        """
        variables = self._database_environment()
        secret = k8s.core.v1.Secret(
            DATABASE_SECRET, metadata=self._metadata(DATABASE_SECRET), data=secret_data(variables), opts=self._options
        )
        return {"secret_ref": {"name": secret.metadata["name"]}}, fingerprint(self._key, variables)

    def _database_environment(self) -> dict[str, pulumi.Input[str]]:
        database = self._args.platform.database
        return {
            "DB_HOST": database.host,
            "DB_PORT": pulumi.Output.from_input(database.port).apply(str),
            "DB_SCHEMA": database.name,
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_SSL": "true" if database.ssl else "false",
            **({"DB_CA": database.ca} if database.ca is not None else {}),
        }

    def _public_service(self, tracks: Mapping[str, Track]) -> k8s.core.v1.Service:
        """Declare the public Service after the tracks: its selector changes only once the selected pods are ready."""
        own = pulumi.ResourceOptions(
            depends_on=[track.deployment for track in tracks.values()],
            # `destroy` deletes the entrance first and stops at the first protected resource. Protected only further
            # down, it would have taken the pods down already.
            protect=self._args.platform.protect,
        )
        return public_service(
            self._metadata(f"{self._args.service.name}-lb"),
            self._args.service.name,
            self._args.release.traffic,
            self._args.platform.entrance,
            pulumi.ResourceOptions.merge(self._options, own),
        )

    def _gateway(self, gateway: Gateway, public: k8s.core.v1.Service, tracks: Mapping[str, Track]) -> PublicGateway:
        behind = [resource for track in tracks.values() for resource in (track.deployment, track.service)]
        traefik = self._traefik(gateway.traefik, gateway.ends_tls) if gateway.traefik else None
        return PublicGateway(
            "gateway",
            PublicGatewayArgs(
                gateway=replace(gateway, class_name=traefik.class_name) if traefik else gateway,
                hostname=self._args.platform.entrance.hostname,
                service=self._args.service,
                release=self._args.release,
                version=self._version_on_trial(tracks),
                backend=ServiceReference(f"{self._args.service.name}-lb", self._namespace),
                labels=self._labels.all,
                protect=self._args.platform.protect,
                after=[
                    public,
                    *(behind if self._args.release.has_weights else []),
                    *([traefik] if traefik else []),
                ],
            ),
            self._kubernetes,
            pulumi.ResourceOptions(parent=self),
        )

    def _traefik(self, traefik: OwnTraefik, ends_tls: bool) -> Traefik:
        platform, service = self._args.platform, self._args.service
        return Traefik(
            "traefik",
            TraefikArgs(
                traefik=traefik,
                image=copy_if_by_digest(traefik.image, platform.registry, service.name, parent=self),
                service=service,
                canary=self._canary_service,
                namespace=self._namespace,
                platform=platform,
                ends_tls=ends_tls,
                sticky=self._args.release.sticky,
            ),
            self._kubernetes,
            pulumi.ResourceOptions(parent=self),
        )

    def _version_on_trial(self, tracks: Mapping[str, Track]) -> pulumi.Output[str]:
        """Return a short text that changes with the canary's image and settings; "" without a canary."""
        if "canary" not in tracks:
            return pulumi.Output.from_input("")
        settings, secrets = self._args.canary.canary_settings, self._args.canary.canary_secret_environment
        version = {"image": tracks["canary"].image, "settings": json.dumps(settings, sort_keys=True), **secrets}
        return fingerprint(self._key, version).apply(lambda digits: digits[:VERSION_DIGITS])

    def _disruption_budget(self) -> k8s.policy.v1.PodDisruptionBudget:
        """Let node drains evict one pod of the service at a time, whatever its track."""
        return k8s.policy.v1.PodDisruptionBudget(
            "disruption-budget",
            metadata=self._metadata(self._args.service.name),
            spec={
                "max_unavailable": 1,
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
                "selector": {"match_labels": self._labels.selector},
            },
            opts=self._options,
        )

    def _network_policies(self) -> list[pulumi.Resource]:
        """Declare the pods' policies, and after them the namespace's: running pods must not lose their connections."""
        service, namespace = self._args.service, self._namespace
        policies: list[pulumi.Resource] = [
            service_policy(
                ServicePolicyArgs(
                    labels=self._labels,
                    namespace=namespace,
                    service=service,
                    canary=self._canary_service,
                    database_port=self._args.platform.database.port,
                    identity=self._args.platform.pod_identity,
                ),
                self._options,
            )
        ]
        if self._args.platform.entrance.gateway:
            policies.append(gateway_policy(service.name, self._labels, namespace, self._options))
        after = pulumi.ResourceOptions(depends_on=policies)
        deny_by_default(self._labels, namespace, pulumi.ResourceOptions.merge(self._options, after))
        return policies

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": name, "namespace": self._namespace, "labels": self._labels.all}
