"""The resource Image: what its inputs say, how it is built and pushed, and its outputs."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lab.plugins.docker.client import Client, Credentials
from lab.plugins.docker.reference import credentials_key, repository
from lab.plugins.properties import Properties, Secret, Value, plain
from lab.plugins.provider import ProviderError

# Number of last lines of output that an error shows.
LAST_LINES = 25
_DIGEST = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b")
# Older clients print such a line for each build step.
_STEP_DIGEST = re.compile(r"#\d+ sha256:[0-9a-f]{64}")
# In the environment, a build argument of such a name would change how the client behaves.
_CLIENT_VARIABLES = re.compile(r"PATH|HOME|TMPDIR|XDG_.*|(DOCKER|BUILDX|LD|SSH|GO).*|(?i:.*_proxy)")


@dataclass(frozen=True)
class Image:
    """An image as its checked and known inputs describe it."""

    name: str
    context: str
    dockerfile: str
    platform: str
    arguments: Mapping[str, str]
    server: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, inputs: Properties) -> Image:
        """Read an image from its inputs."""
        given = cast(Properties, plain(inputs))
        build, registry = given["build"], given.get("registry") or {}
        return cls(
            given["imageName"],
            build["context"],
            build["dockerfile"],
            build["platform"],
            build.get("args") or {},
            registry.get("server") or "",
            registry.get("username") or "",
            registry.get("password") or "",
        )

    def outputs(self, digest: str) -> Properties:
        """Return the resource's outputs."""
        return {
            "baseImageName": self.name,
            "imageName": self.name,
            "registryServer": self.server,
            "repoDigest": digest,
            "context": self.context,
            "dockerfile": os.path.relpath(self.dockerfile, self.context),
            "platform": self.platform,
        }

    def login(self) -> Credentials | None:
        """Return the program's login, None unless it has both a username and a password."""
        if not (self.username and self.password):
            return None
        return Credentials(credentials_key(self.server, self.name), self.username, self.password)

    def build_command(self, network: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and the environment of `docker build`.

        Build arguments are in the environment, where `ps` does not show them.
        """
        command = ["build", "--progress", "plain", "--tag", self.name]
        command += ["--file", self.dockerfile, "--platform", self.platform, *network]
        environment = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
        for name, value in self.arguments.items():
            if _CLIENT_VARIABLES.fullmatch(name):
                command += ["--build-arg", f"{name}={value}"]
            else:
                command += ["--build-arg", name]
                environment[name] = value
        return [*command, self.context], environment


def secret_texts(inputs: Value) -> list[str]:
    """Return every secret string in the inputs. None of them may appear in output."""
    if isinstance(inputs, Secret):
        value = plain(inputs)
        return [value] if isinstance(value, str) and len(value) > 3 else secret_texts(value)
    if isinstance(inputs, dict):
        return [text for each in cast(Properties, inputs).values() for text in secret_texts(each)]
    if isinstance(inputs, list):
        return [text for each in cast("list[Value]", inputs) for text in secret_texts(each)]
    return []


class Builder:
    """Builds and pushes one image. ``status`` receives each line of output."""

    def __init__(self, client: Client, inputs: Properties, status: Callable[[str], None]) -> None:
        self._client = client
        self.image = Image.of(inputs)
        self._secrets = [*secret_texts(inputs), *([self.image.password] if self.image.password else [])]
        self._status = status
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def build(self) -> str:
        """Build and push the image. Return `repository@sha256:…` as the registry holds it.

        Raises ProviderError with the last lines of output.
        """
        client, image = self._client, self.image
        if not Path(image.context).is_dir():
            raise ProviderError(f"The build context {image.context} of {image.name} no longer exists.")
        client.require_engine()
        # An engine without a bridge cannot give a build a network of its own.
        network = [] if client.has_bridge() else ["--network", "host"]
        configuration = client.configure(image.login())
        try:
            private = {"DOCKER_CONFIG": str(configuration.folder)}
            command, environment = image.build_command(network)
            self._run(command, {**environment, **private})
            self._run(["push", image.name], private)
        finally:
            configuration.remove()
        return f"{repository(image.name)}@{self._pushed_digest()}"

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._last.clear()
        code = self._client.run(command, environment, self._line)
        if code:
            ended = f"exit code {code}" if code > 0 else f"signal {-code}"
            *earlier, reason = self._last or ["no output"]
            output = "".join(f"\n  {line}" for line in earlier)
            raise ProviderError(f"docker {command[0]} of {self.image.name} failed ({ended}): {reason}{output}")

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
        output = "".join(f"\n  {line}" for line in self._last)
        raise ProviderError(f"docker push of {self.image.name} printed no digest, only:{output}")
