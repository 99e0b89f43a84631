"""Copy an image into the stack's registry under the same digest, with a tag that protects it from clean-up."""

from __future__ import annotations

import logging
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, ConfigureRequest, CreateResult, DiffResult, ResourceProvider
from pulumi.dynamic import Resource as DynamicResource
from pulumi.runtime.rpc import UNKNOWN

from components import registry_client
from components.registry_client import ImageNotFound, Login, RegistryError
from contract.image import digest_of, repository_of
from contract.platform import Registry

#: Prefix of the tags of images that a track runs or has run. Registries' clean-up rules spare these tags.
RELEASE_TAG = "release-"
#: Hex digits of the digest in names and tags. 48 bits are unique for any team's images.
DIGEST_DIGITS = 12
#: Inputs that identify a copy. The others are credentials.
_IDENTITY = ("source", "repository")


class _Copier(ResourceProvider):
    """The provider of ImageCopy: it copies images during `up`. The state refers to this class by its module and name.

    A command resource would keep the credentials in the state and see each new token as a change. Here they pass from
    `check` to `create` in this process's memory.
    """

    # The state then holds the class's name in plain text; it is no secret.
    serialize_as_secret_always = False

    def __init__(self) -> None:
        super().__init__()
        self._logins: dict[str, Login] = {}

    def configure(self, req: ConfigureRequest) -> None:  # noqa: ARG002 the signature is Pulumi's
        # gRPC would print a traceback after each error message.
        logging.getLogger("grpc._server").disabled = True

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Keep the credentials out of the state, and report a missing image before anything changes."""
        repository, username, password = (news.get(key) for key in ("repository", "username", "password"))
        known = UNKNOWN not in (repository, username, password)
        if known and username and password:
            self._logins[str(repository)] = Login(str(username), str(password))
        # An image that this run builds has no digest in a preview, and exists once it has one.
        settled = news["source"] == UNKNOWN or all(_olds.get(key) == news[key] for key in _IDENTITY)
        failures = [] if settled else self._failures(str(news["source"]), str(repository) if known else None)
        identity = {key: news[key] for key in _IDENTITY}
        return CheckResult(identity, [CheckFailure("", reason) for reason in failures])

    def _failures(self, source: str, repository: str | None) -> list[str]:
        if missing := registry_client.missing_prerequisites({source}):
            return missing
        try:
            copied = repository and not registry_client.missing(
                f"{repository}@{digest_of(source)}", self._logins.get(repository)
            )
            if copied or not registry_client.missing(source, self._login_of(source)):
                return []
        except RegistryError as error:
            return [str(error)]
        return [_not_found(source)]

    def _login_of(self, image: str) -> Login | None:
        """Return the stack's login if the image is in the same registry."""
        same = [each for each in self._logins if registry_client.host(each) == registry_client.host(image)]
        return self._logins[same[0]] if same else None

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Replace the copy if its repository or digest changed. Another source of the same digest is no change."""
        moved = ["repository"] if _olds.get("repository") != _news.get("repository") else []
        rebuilt = ["source"] if digest_of(str(_olds.get("source"))) != digest_of(str(_news.get("source"))) else []
        return DiffResult(changes=bool(moved or rebuilt), replaces=[*moved, *rebuilt])

    def create(self, props: dict[str, Any]) -> CreateResult:
        source, repository = str(props["source"]), str(props["repository"])
        try:
            registry_client.copy(source, repository, release_tag(source), self._logins.get(repository))
        except ImageNotFound:
            raise RegistryError(_not_found(source)) from None
        except RegistryError as error:
            remedy = registry_client.remedy(error, source, repository, self._logins.get(repository))
            verb = "tagged in" if repository_of(source) == repository else "copied to"
            raise RegistryError(f"the image {source} could not be {verb} {repository}: {error}{remedy}") from None
        image = f"{repository}@{digest_of(source)}"
        return CreateResult(image, {key: props[key] for key in _IDENTITY})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave image and tag in the registry: a rollback may need them, and another stack may run the image."""


class ImageCopy(DynamicResource, module="release", name="ImageCopy"):
    """A copy of an image (REPOSITORY@sha256:DIGEST) in the stack's registry, with a tag that keeps it there.

    It is copied during `up`, never in a preview; an image that is in the registry already is only tagged. The resource
    is named by the digest, so both tracks share one and a promotion copies nothing; ``image-source`` is this run's
    build. Its deletion leaves the image and its tag in the registry.
    """

    #: REPOSITORY@sha256:DIGEST in the stack's registry. Known in previews; ready once the image is copied and tagged.
    image: pulumi.Output[str]

    def __init__(
        self,
        source: str | pulumi.Output[str],
        registry: Registry,
        repository: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        target = pulumi.Output.concat(registry.url, "/", repository)
        login: dict[str, Any] = {}
        if registry.username is not None and registry.password is not None:
            login = {"username": registry.username, "password": pulumi.Output.secret(registry.password)}
        name = f"image-{_short(source) if isinstance(source, str) else 'source'}"
        super().__init__(_Copier(), name, {"source": source, "repository": target, **login}, opts)
        # The URN is known in previews, unlike the id. During `up` it resolves once the copy exists.
        self.image = pulumi.Output.all(target, source, self.urn).apply(
            lambda values: f"{values[0]}@{digest_of(values[1])}"
        )


def release_tag(image: str) -> str:
    """Return the tag that keeps an image in the registry."""
    return RELEASE_TAG + _short(image)


def _short(image: str) -> str:
    return digest_of(image).partition(":")[2][:DIGEST_DIGITS]


def _not_found(source: str) -> str:
    return (
        f"the registry has no image {source}; correct the key that names it: stableImage, canaryImage,"
        f" databaseClientImage or gatewayImage (`regctl image digest {repository_of(source)}:TAG` prints a digest)"
    )


def copy_if_by_digest(
    configured: str, registry: Registry, repository: str, parent: pulumi.Resource
) -> pulumi.Input[str]:
    """Return the image that the pods run: a copy in the stack's registry if it is named by digest, else the tag itself.

    ``repository`` is the service's, the only one that exists on every cloud: ECR creates none on a push.
    """
    if "@" not in configured:
        return configured
    return ImageCopy(configured, registry, repository, opts=pulumi.ResourceOptions(parent=parent)).image
