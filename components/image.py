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
    """``context``: the build context's folder; ``dockerfile`` is relative to it; ``platform`` is that of the nodes."""

    repository: str
    registry: Registry
    context: Path
    dockerfile: str
    platform: str
    build_args: Mapping[str, str]


class SourceImage(Component):
    """An image built from a folder: during `up` only, never in a preview, and only when the folder has changed.

    Outputs ``digest``: REPOSITORY@sha256:DIGEST as the registry holds it. Build arguments ``REVISION`` (Git commit) and
    ``VERSION`` (the tag) are added, for the image's labels.
    """

    digest: pulumi.Output[str]

    def __init__(self, name: str, args: SourceImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # Imported here, since a stack whose images are pinned builds nothing, and this takes a while.
        import pulumi_docker as docker

        super().__init__("release:SourceImage", name, opts)
        build_args = {**args.build_args, "REVISION": revision(args.context)}
        tag = content_tag(args.context, args.dockerfile, args.platform, build_args)
        # Relative, as the engine starts plugins in the project's folder: a checkout elsewhere shows no difference.
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
                # The host alone: the login is the server's, whatever path the repositories have.
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
