"""The service's image, built from source and pushed to the platform's registry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.component import Component
from components.source import content_tag, revision
from contract.platform import Registry
from contract.project import PROJECT_ROOT


@dataclass(frozen=True)
class SourceImageArgs:
    """What to build, and where to push it."""

    #: Repository in the registry, without the registry's URL.
    repository: str
    registry: Registry
    #: Folder of the build context.
    context: Path
    #: Relative to the context.
    dockerfile: str
    #: Platform of the nodes, such as linux/amd64.
    platform: str
    build_args: Mapping[str, str]


class SourceImage(Component):
    """An image built from a folder.

    It is built during `up`, never in a preview, and only if the folder has changed. The build arguments ``REVISION``
    (Git commit) and ``VERSION`` (the tag) are added for the image's labels.
    """

    #: REPOSITORY@sha256:DIGEST in the registry.
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: SourceImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # Imported here because it is slow to load, and a stack with pinned images builds nothing.
        import pulumi_docker as docker

        super().__init__("release:SourceImage", name, opts)
        build_args = {**args.build_args, "REVISION": revision(args.context)}
        tag = content_tag(args.context, args.dockerfile, args.platform, build_args)
        # Relative to the project, where the engine starts plugins, so that another checkout shows no difference.
        context = Path(os.path.relpath(args.context, PROJECT_ROOT))
        image = docker.Image(
            name,
            image_name=pulumi.Output.concat(args.registry.url, "/", args.repository, ":", tag),
            build={
                "context": str(context),
                "dockerfile": str(context / args.dockerfile),
                "platform": args.platform,
                "args": {**build_args, "VERSION": tag},
            },
            registry={
                # The host only: the login is valid for all paths.
                "server": pulumi.Output.from_input(args.registry.url).apply(lambda url: url.partition("/")[0]),
                "username": args.registry.username,
                "password": args.registry.password,
            }
            if args.registry.password is not None
            else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.digest = image.repo_digest
        self.register_outputs({"digest": self.digest})
