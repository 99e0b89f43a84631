"""An image that a track runs: in the stack's own registry, under the same digest, with a tag that keeps it there."""

from __future__ import annotations

import logging
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, ConfigureRequest, CreateResult, DiffResult, ResourceProvider
from pulumi.dynamic import Resource as DynamicResource
from pulumi.runtime.rpc import UNKNOWN

from components import registry_client
from components.registry_client import ImageNotFound, Login, RegistryError
from contract.platform import Registry

#: Begins the tag of what a track runs or has run. Registries' clean-up rules spare such tags, and nothing else by name.
RELEASE_TAG = "release-"
#: Hex digits of the digest in names and tags; 48 bits tell any team's images apart.
DIGEST_DIGITS = 12
#: What a copy is; the rest of the inputs is only how to get in.
_IDENTITY = ("source", "repository")


class _Copier(ResourceProvider):
    """Makes the copies during `up`, in a process of Pulumi's own dynamic provider (on PATH beside `pulumi`).

    Chosen over a command resource, because of what it knows: credentials go from the check to the copy in this
    process's memory, so they are in no state, and a new token is no change. State refers to this class by its name.
    """

    # The class's name, and no secret.
    serialize_as_secret_always = False

    def __init__(self) -> None:
        super().__init__()
        self._logins: dict[str, Login] = {}

    def configure(self, req: ConfigureRequest) -> None:  # noqa: ARG002 the signature is Pulumi's
        # A refused copy is told in one sentence; gRPC would add the traceback of this process to it.
        logging.getLogger("grpc._server").disabled = True

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Keep the credentials back, and say before anything happens that there is no such image."""
        repository, username, password = (news.get(key) for key in ("repository", "username", "password"))
        known = UNKNOWN not in (repository, username, password)
        if known and username and password:
            self._logins[str(repository)] = Login(str(username), str(password))
        # What this very run builds has no digest in a preview, and is there when it has one.
        settled = news["source"] == UNKNOWN or all(_olds.get(key) == news[key] for key in _IDENTITY)
        failures = [] if settled else self._failures(str(news["source"]), str(repository) if known else None)
        identity = {key: news[key] for key in _IDENTITY}
        return CheckResult(identity, [CheckFailure("", reason) for reason in failures])

    def _failures(self, source: str, repository: str | None) -> list[str]:
        if lacking := registry_client.missing_prerequisites({source}):
            return lacking
        try:
            there = repository and not registry_client.missing(
                f"{repository}@{_digest(source)}", self._logins.get(repository)
            )
            if there or not registry_client.missing(source, self._login_of(source)):
                return []
        except RegistryError as fault:
            return [str(fault)]
        return [_not_found(source)]

    def _login_of(self, image: str) -> Login | None:
        """The stack's login, where the image is in another repository of the same registry."""
        same = [each for each in self._logins if registry_client.host(each) == registry_client.host(image)]
        return self._logins[same[0]] if same else None

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another repository or digest is another copy. The same digest from elsewhere is the same image."""
        moved = ["repository"] if _olds.get("repository") != _news.get("repository") else []
        rebuilt = ["source"] if _digest(str(_olds.get("source"))) != _digest(str(_news.get("source"))) else []
        return DiffResult(changes=bool(moved or rebuilt), replaces=[*moved, *rebuilt])

    def create(self, props: dict[str, Any]) -> CreateResult:
        source, repository = str(props["source"]), str(props["repository"])
        try:
            registry_client.copy(source, repository, release_tag(source), self._logins.get(repository))
        except ImageNotFound:
            raise RegistryError(_not_found(source)) from None
        except RegistryError as fault:
            remedy = registry_client.remedy(fault, source, repository, self._logins.get(repository))
            verb = "tagged in" if registry_client.repository(source) == repository else "copied to"
            raise RegistryError(f"the image {source} could not be {verb} {repository}: {fault}{remedy}") from None
        image = f"{repository}@{_digest(source)}"
        return CreateResult(image, {key: props[key] for key in _IDENTITY})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Image and tag stay in the registry: a rollback may need them, and another stack may run the same."""


class ImageCopy(DynamicResource, module="release", name="ImageCopy"):
    """The image ``source`` (REPOSITORY@sha256:DIGEST) in the stack's registry, tagged to stay there: copied where it is
    elsewhere, during `up`, never in a preview.

    Named by its digest, so both tracks share one, and a promotion copies nothing; ``image-source`` where the digest is
    that of this run's build. Deleted, it leaves the image and its tag where they are. Outputs ``image``:
    REPOSITORY@sha256:DIGEST in the stack's registry, known in previews, ready when it is copied and tagged.
    """

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
        # Its URN is known in a preview, and only there once the copy is made in an `up`: whoever uses the image waits.
        self.image = pulumi.Output.all(target, source, self.urn).apply(lambda known: f"{known[0]}@{_digest(known[1])}")


def release_tag(image: str) -> str:
    """Tag that keeps an image in the registry."""
    return RELEASE_TAG + _short(image)


def _short(image: str) -> str:
    return _digest(image).partition(":")[2][:DIGEST_DIGITS]


def _digest(image: str) -> str:
    return image.partition("@")[2]


def _not_found(source: str) -> str:
    return (
        f"there is no image {source}: its registry says so; correct the key that names it: stableImage, canaryImage or"
        " databaseClientImage"
        f" (`regctl image digest {registry_client.repository(source)}:TAG` prints a tag's digest)"
    )
