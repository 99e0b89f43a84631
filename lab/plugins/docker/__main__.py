"""What `pulumi-resource-docker` runs. Of the official plugin's resources it has Image only.

A preview needs neither the Docker Engine nor a registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from typing_extensions import override

from lab.plugins.difference import Difference, difference
from lab.plugins.docker.client import Client
from lab.plugins.docker.context import context_digest
from lab.plugins.docker.image import Builder
from lab.plugins.docker.reference import is_qualified
from lab.plugins.engine import Engine
from lab.plugins.properties import UNKNOWN, Properties, Unknown, Value, plain
from lab.plugins.provider import Checked, Created, Failure, Provider, ProviderError, Read, Resource
from lab.plugins.serving import serve

IMAGE = "docker:index/image:Image"
INSTALL_OFFICIAL = "Install the official plugin: pulumi plugin install resource docker 5.2.0."
NOT_COVERED = f"is not covered by the lab's stand-in. {INSTALL_OFFICIAL}"
# Input names with their types; `contextDigest` is the plugin's own.
INPUTS = {
    "": {"imageName": str, "build": dict, "registry": dict},
    "build.": {"args": dict, "context": str, "contextDigest": str, "dockerfile": str, "platform": str},
    "registry.": {"server": str, "username": str, "password": str},
}
FLAGS = ("buildOnPreview", "skipPush")
REQUIRED = {"": ["imageName", "build"], "build.": ["context", "platform"], "registry.": []}


def _wrong(prefix: str, values: Value) -> list[Failure]:
    """Return what is unknown to this stand-in, missing or of the wrong type."""
    if isinstance(values, Unknown) or not isinstance(values, dict):
        return []
    types, given = INPUTS[prefix], cast(Properties, values)
    failures = [Failure(prefix + name, NOT_COVERED) for name in given if name not in types]
    failures += [Failure(prefix + name, "is required.") for name in REQUIRED[prefix] if name not in given]
    failures += [
        Failure(prefix + name, f"must be a {'map' if types[name] is dict else 'string'}.")
        for name, value in given.items()
        if name in types and not isinstance(value, (Unknown, types[name]))
    ]
    return failures


class Docker(Provider):
    """The resource `docker:index/image:Image`."""

    name = "docker"
    version = "5.2.0"

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._client = Client()

    @override
    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        return Checked(new, [Failure(name, NOT_COVERED) for name in new.keys() - {"version", "pluginDownloadURL"}])

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        if resource.type != IMAGE:
            raise ProviderError(f"The lab's stand-in has no {resource.type}, only {IMAGE}. {INSTALL_OFFICIAL}")
        # The build is completed below. The servicer makes secret again what is secret here.
        inputs = {name: plain(value) for name, value in new.items() if value is not None}
        # The SDK sends these two as false.
        given = {name: value for name, value in inputs.items() if name not in FLAGS or value is not False}
        failures = (
            _wrong("", given) + _wrong("build.", inputs.get("build")) + _wrong("registry.", inputs.get("registry"))
        )
        name, build = inputs.get("imageName"), inputs.get("build")
        if isinstance(name, str) and not is_qualified(name):
            reason = f"{name!r} is not a fully qualified image name: write registry/repository:tag."
            failures.append(Failure("imageName", reason))
        if not failures and isinstance(build, dict):
            failures = self._complete(cast(Properties, build))
        return Checked(inputs, failures)

    def _complete(self, build: Properties) -> list[Failure]:
        context = build["context"]
        dockerfile = build.setdefault("dockerfile", UNKNOWN if context is UNKNOWN else f"{context}/Dockerfile")
        if isinstance(context, Unknown) or isinstance(dockerfile, Unknown):
            return []
        if not Path(context).is_dir():
            return [Failure("build.context", f"there is no folder {context} in {Path.cwd()}.")]
        if not Path(dockerfile).is_file():
            reason = f"there is no file {dockerfile} in {Path.cwd()}. The path is relative to the program."
            return [Failure("build.dockerfile", reason)]
        try:
            build["contextDigest"] = context_digest(Path(context), Path(dockerfile))
        except OSError as error:
            return [Failure("build.context", f"{context} cannot be read: {error}.")]
        return []

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        # New short-lived credentials do not change the image.
        return difference(old_inputs, new, ignore=["registry.username", "registry.password"])

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        if resource.preview:
            return Created("", _predicted(inputs))
        outputs = self._build(resource, inputs)
        return Created(outputs["imageName"], outputs)

    @override
    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        return _predicted(new) if resource.preview else self._build(resource, new)

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read:
        """Return what is stored, as the official plugin does."""
        if not outputs:
            raise ProviderError(f"{IMAGE} cannot be imported, because it is built from its context.")
        return Read(resource.id, outputs, inputs)

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Do nothing, as the official plugin: the image stays in the engine and in the registry."""

    @override
    def cancel(self) -> None:
        self._client.stop()

    def _build(self, resource: Resource, inputs: Properties) -> Properties:
        builder = Builder(self._client, inputs, lambda line: self.engine.status(line, resource.urn))
        return builder.image.outputs(builder.build())


def _predicted(inputs: Properties) -> Properties:
    """Return the outputs as far as a preview knows them."""
    given = plain(inputs)
    name, build, registry = given["imageName"], given["build"] or {}, given.get("registry") or {}
    return {
        "imageName": name,
        "baseImageName": name,
        "registryServer": registry.get("server") or "",
        "context": build.get("context", UNKNOWN),
        "platform": build.get("platform", UNKNOWN),
        "dockerfile": UNKNOWN,
        "repoDigest": UNKNOWN,
    }


if __name__ == "__main__":
    serve(Docker)
