"""The resource Image: what its inputs say, how it is built and pushed, and what comes out."""

from __future__ import annotations

import os
import platform
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lab.plugins.docker.client import Client, Credentials
from lab.plugins.docker.reference import credentials_key, repository
from lab.plugins.serving import Properties, ProviderError, Secret, Value, plain

# How many of the last lines of output an error carries.
LAST_LINES = 25
BUILDERS = {"BuilderBuildKit": "1", "BuilderV1": "0"}
_DIGEST = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b")
# What earlier clients print of each build step, and no reader wants.
_STEP_DIGEST = re.compile(r"#\d+ sha256:[0-9a-f]{64}")
# A build argument of such a name would change the client itself if it came by the environment.
_CLIENT_VARIABLES = re.compile(r"PATH|HOME|TMPDIR|XDG_.*|(DOCKER|BUILDX|LD|SSH|GO).*|(?i:.*_proxy)")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def host_platform() -> str:
    """This machine's platform, as Docker writes it."""
    machine = platform.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"


@dataclass(frozen=True)
class Image:
    """An image as its (checked, known) inputs describe it."""

    name: str
    context: str
    dockerfile: str
    platform: str
    builder: str = "1"
    push: bool = True
    target: str = ""
    network: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    cache_from: Sequence[str] = ()
    add_hosts: Sequence[str] = ()
    server: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, inputs: Properties) -> Image:
        """From the inputs as `check` has completed them."""
        given = cast(Properties, plain(inputs))
        build = cast(Properties, given.get("build") or {})
        registry = cast(Properties, given.get("registry") or {})
        return cls(
            name=given["imageName"],
            context=build["context"],
            dockerfile=build["dockerfile"],
            platform=build["platform"],
            builder=BUILDERS[build.get("builderVersion") or "BuilderBuildKit"],
            push=not given.get("skipPush"),
            target=build.get("target") or "",
            network=build.get("network") or "",
            arguments=build.get("args") or {},
            cache_from=(build.get("cacheFrom") or {}).get("images") or [],
            add_hosts=build.get("addHosts") or [],
            server=registry.get("server") or "",
            username=registry.get("username") or "",
            password=registry.get("password") or "",
        )

    def outputs(self, digest: Value) -> Properties:
        """The resource's outputs."""
        return {
            "baseImageName": self.name,
            "imageName": self.name,
            "registryServer": self.server,
            "repoDigest": digest,
            "context": self.context,
            "dockerfile": os.path.relpath(self.dockerfile, self.context),
            "platform": self.platform,
        }

    def credentials(self) -> list[Credentials]:
        """The program's own login, if it has given both parts of one."""
        if not (self.username and self.password):
            return []
        return [Credentials(credentials_key(self.server, self.name), self.username, self.password)]

    def build_command(self, network: str) -> tuple[list[str], dict[str, str]]:
        """Arguments and environment of `docker build`; build arguments travel in the environment, unseen by `ps`."""
        command = ["build", "--progress", "plain"] if self.builder == "1" else ["build"]
        command += ["--tag", self.name, "--file", self.dockerfile, "--platform", self.platform]
        environment = {"DOCKER_BUILDKIT": self.builder, "BUILDX_BUILDER": "default"}
        for name, value in self.arguments.items():
            if _CLIENT_VARIABLES.fullmatch(name):
                command += ["--build-arg", f"{name}={value}"]
            else:
                command += ["--build-arg", name]
                environment[name] = value
        for image in self.cache_from:
            command += ["--cache-from", image]
        for host in self.add_hosts:
            command += ["--add-host", host]
        if self.target:
            command += ["--target", self.target]
        if network:
            command += ["--network", network]
        return [*command, self.context], environment


def secret_texts(inputs: Value) -> list[str]:
    """What must not appear in output: every secret string in the inputs."""
    if isinstance(inputs, Secret):
        value = plain(inputs)
        return [value] if isinstance(value, str) and len(value) > 3 else secret_texts(value)
    if isinstance(inputs, dict):
        return [text for each in cast(Properties, inputs).values() for text in secret_texts(each)]
    if isinstance(inputs, list):
        return [text for each in cast("list[Value]", inputs) for text in secret_texts(each)]
    return []


class Builder:
    """Builds one image and pushes it, telling `status` each line of what is going on."""

    def __init__(self, client: Client, image: Image, secrets: Sequence[str], status: Callable[[str], None]) -> None:
        self._client = client
        self._image = image
        self._secrets = [*secrets, *([image.password] if image.password else [])]
        self._status = status
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def build(self, also: Sequence[Credentials], push: bool) -> str:
        """Build, and with `push` push. Returns `repository@sha256:…` of what the registry holds, or the image's id.

        Raises ProviderError with the last lines of output.
        """
        client, image = self._client, self._image
        if not Path(image.context).is_dir():
            raise ProviderError(f"the build context {image.context} of {image.name} is no folder (any more).")
        client.reach()
        network = image.network
        if not network and not client.has_bridge():
            # An engine without a bridge can't give a build a network of its own.
            self._status("the Docker Engine has no bridge network: building with the host's network")
            network = "host"
        configuration = client.configure([*also, *image.credentials()])
        try:
            private = {"DOCKER_CONFIG": str(configuration.folder)}
            command, environment = image.build_command(network)
            self._run("build", command, {**environment, **private})
            if push:
                self._run("push", ["push", image.name], private)
                return f"{repository(image.name)}@{self._pushed_digest()}"
            return self._image_id()
        finally:
            configuration.remove()

    def _run(self, what: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._last.clear()
        code = self._client.run(command, environment, self._line)
        if code:
            ended = f"exit code {code}" if code > 0 else f"signal {-code}"
            *earlier, reason = self._last or ["no output"]
            output = "".join(f"\n  {line}" for line in earlier)
            raise ProviderError(f"docker {what} of {self._image.name} failed ({ended}): {reason}{output}")

    def _line(self, text: str) -> None:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        if text.strip() and not _STEP_DIGEST.fullmatch(text):
            self._last.append(text)
            self._status(text)

    def _pushed_digest(self) -> str:
        for text in reversed(self._last):
            if match := _DIGEST.search(text):
                return match[1]
        raise ProviderError(
            f"docker push of {self._image.name} ended without telling the digest; its last lines:\n"
            + "\n".join(self._last)
        )

    def _image_id(self) -> str:
        asked = self._client.ask("image", "inspect", "--format", "{{.Id}}", self._image.name)
        if asked.returncode:
            raise ProviderError(
                f"{self._image.name} was built, but the Docker Engine doesn't have it: {asked.stderr.strip()}."
            )
        return asked.stdout.strip()
