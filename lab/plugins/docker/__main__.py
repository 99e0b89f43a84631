"""The plugin: `python -m lab.plugins.docker`, started by pulumi as `pulumi-resource-docker`.

Of the official plugin's resources it has Image only. A preview asks neither the engine nor a registry for anything
(unless `buildOnPreview` is set).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from typing_extensions import override

from lab.plugins.docker.client import Client, Credentials
from lab.plugins.docker.context import context_digest
from lab.plugins.docker.image import BUILDERS, Builder, Image, host_platform, secret_texts
from lab.plugins.docker.reference import credentials_key, why_not_qualified
from lab.plugins.serving import (
    UNKNOWN,
    Checked,
    Created,
    Difference,
    Engine,
    Failure,
    Properties,
    Provider,
    ProviderError,
    Read,
    Resource,
    Unknown,
    Value,
    contains_unknown,
    difference,
    plain,
    serve,
)

IMAGE = "docker:index/image:Image"
INPUTS = {"imageName": str, "build": dict, "buildOnPreview": bool, "registry": dict, "skipPush": bool}
BUILD_INPUTS = {
    "addHosts": list,
    "args": dict,
    "builderVersion": str,
    "cacheFrom": dict,
    "context": str,
    "contextDigest": str,
    "dockerfile": str,
    "network": str,
    "platform": str,
    "target": str,
}
REGISTRY_INPUTS = {"server": str, "username": str, "password": str}
KINDS = {str: "a string", dict: "a map", bool: "true or false", list: "a list"}
CONFIGURATION = frozenset(
    {"version", "pluginDownloadURL", "host", "context", "certPath", "registryAuth", "disableDockerDaemonCheck"}
)


def _wrong(values: Properties, kinds: dict[str, type], prefix: str = "") -> list[Failure]:
    failures: list[Failure] = []
    for name, value in plain(values).items():
        if name not in kinds:
            failures.append(Failure(prefix + name, f"is no input of {IMAGE}."))
        elif value is not None and not isinstance(value, (Unknown, kinds[name])):
            failures.append(Failure(prefix + name, f"must be {KINDS[kinds[name]]}."))
    return failures


class Docker(Provider):
    """The resource `docker:index/image:Image`."""

    name = "docker"
    version = "5.2.0"

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._client = Client({})
        self._logins: list[Credentials] = []

    @override
    def check_configuration(self, old: Properties, new: Properties) -> Checked:
        failures = [
            Failure(name, "is not understood by this stand-in; the official plugin does: "
                    f"pulumi plugin install resource docker {self.version}.")
            for name in new
            if name not in CONFIGURATION
        ]  # fmt: skip
        return Checked(new, failures)

    @override
    def configure(self, configuration: Properties) -> None:
        super().configure(configuration)
        environment: dict[str, str] = {}
        if host := configuration.get("host"):
            environment["DOCKER_HOST"] = host
        elif context := configuration.get("context"):
            environment["DOCKER_CONTEXT"] = context
        if folder := configuration.get("certPath"):
            environment |= {"DOCKER_CERT_PATH": folder, "DOCKER_TLS_VERIFY": "1"}
        self._client = Client(environment)
        logins = configuration.get("registryAuth") or []
        # The engine gives a provider's lists and maps as JSON text.
        for login in json.loads(logins) if isinstance(logins, str) else logins:
            if login.get("username") and login.get("password"):
                registry = credentials_key(login.get("address", ""), "")
                self._logins.append(Credentials(registry, login["username"], login["password"]))

    @override
    def check(self, resource: Resource, old: Properties, new: Properties) -> Checked:
        self._refuse_others(resource)
        inputs = {name: value for name, value in new.items() if value is not None}
        inputs.setdefault("buildOnPreview", False)
        # Plain maps, completed here; the scaffold makes what was secret in them secret again.
        for name in ("build", "registry"):
            if name in inputs:
                inputs[name] = plain(inputs[name])
        failures = _wrong(inputs, cast("dict[str, type]", INPUTS))
        build = inputs.setdefault("build", {})
        registry = inputs.get("registry", {})
        if isinstance(build, dict):
            failures += _wrong(cast(Properties, build), cast("dict[str, type]", BUILD_INPUTS), "build.")
        if isinstance(registry, dict):
            failures += _wrong(cast(Properties, registry), cast("dict[str, type]", REGISTRY_INPUTS), "registry.")
        if not failures and isinstance(build, dict):
            failures += self._complete_build(resource, cast(Properties, build))
            failures += self._unqualified(inputs, cast(Properties, build))
        return Checked(inputs, failures)

    def _complete_build(self, resource: Resource, build: Properties) -> list[Failure]:
        failures: list[Failure] = []
        if build.get("builderVersion", "BuilderBuildKit") not in (*BUILDERS, UNKNOWN):
            failures.append(Failure("build.builderVersion", f"must be {' or '.join(BUILDERS)}."))
        cache = build.get("cacheFrom")
        if isinstance(cache, dict) and cast(Properties, cache).get("images") in (None, []):
            failures.append(Failure("build.cacheFrom", "needs images."))
        failures += [
            Failure(f"build.args.{name}", "must be a string.")
            for name, value in (build.get("args") or {}).items()
            if not isinstance(value, (str, Unknown))
        ]
        if not build.get("platform") and not isinstance(build.get("platform"), Unknown):
            build["platform"] = host_platform()
            self.engine.info(
                f"Building for {build['platform']}, this machine's platform: set build.platform to that of the "
                "machines which will run the image.",
                resource.urn,
            )
        context = build.setdefault("context", ".")
        if isinstance(context, Unknown):
            build.setdefault("dockerfile", UNKNOWN)
            return failures
        dockerfile = build.setdefault("dockerfile", str(Path(context) / "Dockerfile"))
        if not isinstance(dockerfile, Unknown):
            failures += self._digest(build, context, dockerfile)
        return failures

    def _digest(self, build: Properties, context: str, dockerfile: str) -> list[Failure]:
        if not Path(context).is_dir():
            return [Failure("build.context", f"{context} is no folder (looked for in {Path.cwd()}).")]
        if not Path(dockerfile).is_file():
            inside = Path(context) / dockerfile
            hint = f"; it is relative to the program, try {inside}" if inside.is_file() else ""
            return [Failure("build.dockerfile", f"{dockerfile} is no file (looked for in {Path.cwd()}){hint}.")]
        try:
            build["contextDigest"] = context_digest(Path(context), Path(dockerfile))
        except OSError as error:
            return [Failure("build.context", f"{context} can't be read: {error}.")]
        return []

    def _unqualified(self, inputs: Properties, build: Properties) -> list[Failure]:
        name: Value = plain(inputs.get("imageName"))
        if isinstance(name, Unknown):
            return []
        if not name:
            return [Failure("imageName", "is required.")]
        caches = (build.get("cacheFrom") or {}).get("images") or []
        server = plain(inputs.get("registry") or {}).get("server")
        if (inputs.get("skipPush") and not caches) or server:
            return []
        names = {"imageName": name} | {f"build.cacheFrom.images[{i}]": each for i, each in enumerate(caches)}
        return [
            Failure(path, reason)
            for path, each in names.items()
            if not isinstance(each, Unknown) and (reason := why_not_qualified(each))
        ]

    @override
    def diff(self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties) -> Difference:
        # A registry's short-lived credentials change at each run; the image doesn't.
        return difference(old_inputs, new, ignore=["registry.username", "registry.password"])

    @override
    def create(self, resource: Resource, inputs: Properties) -> Created:
        self._refuse_others(resource)
        if resource.preview and not self._previewable(resource, inputs):
            return Created("", self._foreseen(inputs))
        image = Image.of(inputs)
        return Created("" if resource.preview else image.name, self._build(resource, image, inputs))

    @override
    def update(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Properties:
        if resource.preview and not self._previewable(resource, new):
            return self._foreseen(new)
        return self._build(resource, Image.of(new), new)

    @override
    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Read:
        self._refuse_others(resource)
        if not outputs:
            raise ProviderError(f"{IMAGE} can't be imported: it is built from its context.")
        return Read(resource.id, outputs, inputs)  # As the official plugin: nothing is looked up.

    @override
    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        pass  # As the official plugin: no tag is deleted, locally or in the registry.

    @override
    def cancel(self) -> None:
        self._client.stop()

    def _refuse_others(self, resource: Resource) -> None:
        if resource.type != IMAGE:
            raise ProviderError(
                f"the stand-in for the docker provider makes {IMAGE} only, not {resource.type}; the official plugin "
                f"does: pulumi plugin install resource docker {self.version}."
            )

    def _previewable(self, resource: Resource, inputs: Properties) -> bool:
        if plain(inputs.get("buildOnPreview")) is not True:
            return False
        if contains_unknown(inputs):
            self.engine.warning("buildOnPreview is set, but not all inputs are known: nothing is built.", resource.urn)
            return False
        return True

    def _foreseen(self, inputs: Properties) -> Properties:
        given = plain(inputs)
        build, registry = given.get("build") or {}, given.get("registry") or {}
        return {
            "imageName": given.get("imageName", UNKNOWN),
            "baseImageName": given.get("imageName", UNKNOWN),
            "registryServer": registry.get("server") or "",
            "context": build.get("context", UNKNOWN),
            "platform": build.get("platform", UNKNOWN),
            "dockerfile": UNKNOWN,
            "repoDigest": UNKNOWN,
        }

    def _build(self, resource: Resource, image: Image, inputs: Properties) -> Properties:
        if bool(image.username) != bool(image.password):
            has, lacks = ("username", "password") if image.username else ("password", "username")
            self.engine.warning(
                f"registry.{has} is set but {lacks} is not: using this machine's own Docker credentials.",
                resource.urn,
            )
        builder = Builder(
            self._client,
            image,
            secret_texts(inputs),
            lambda line: self.engine.status(line, resource.urn),
        )
        push = image.push and not resource.preview
        digest = builder.build(self._logins, push)
        return image.outputs(UNKNOWN if image.push and not push else digest)


if __name__ == "__main__":
    serve(Docker)
