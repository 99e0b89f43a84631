"""Images that a node cannot get: why, from the container runtime's own words."""

from __future__ import annotations

import re

from promotion.diagnosis.reason import Reason

#: Reasons of a waiting container whose image is not there.
WAITING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ImageInspectError",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CHECK = "`crane manifest {image}` asks the registry for it"
_KEY = "stableImage or canaryImage in the stack file"
#: Cause, sentence and remedy by what the runtime says; the first that fits. Denied comes before absent: a registry that
#: hides its repositories answers both in one sentence.
_KINDS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"invalid reference format|InvalidImageName|couldn't parse image",
        "image-name-invalid",
        "`{image}` is not a valid image name",
        f"correct {_KEY}: REPOSITORY@sha256:<64 hex digits>, lower case",
    ),
    (
        r"toomanyrequests|too many requests|\b429\b|rate limit",
        "image-pull-limit",
        "the registry limits how often {image} is pulled",
        "wait until the limit is lifted, log the cluster in to the registry, or use the platform's own registry",
    ),
    (
        r"\b40[13]\b|unauthorized|forbidden|denied|no basic auth|authentication required|authorization failed",
        "image-pull-denied",
        "the registry does not let the cluster pull {image}",
        "let the cluster pull from this registry (docs of your cloud's stack), or name an image in the platform's own"
        f" registry; some registries also answer so for what they do not have: {_CHECK}",
    ),
    (
        r"no match for platform|does not match the specified platform|exec format error",
        "image-platform",
        "{image} was not built for the nodes' processors",
        "set buildPlatform to that of the nodes (`kubectl get nodes -o wide`), or name an image built for it",
    ),
    (
        r"not found|manifest unknown|name unknown|does not exist|\b404\b",
        "image-not-found",
        "the registry has no image {image}",
        f"correct {_KEY}, or push the image: {_CHECK}",
    ),
    (
        r"no space left on device",
        "node-disk-full",
        "a node's disk is full, so {image} cannot be stored",
        "remove unused images on the node, or give the nodes larger disks",
    ),
    (
        r"no such host|connection refused|i/o timeout|timeout|dial tcp|x509|tls|certificate|HTTP response to HTTPS"
        r"|EOF|reset by peer|unreachable",
        "registry-unreachable",
        "the node cannot reach the registry of {image}",
        "see that the registry runs and that the nodes reach it under that name (DNS, firewall, certificate)",
    ),
    (
        r"ErrImageNeverPull|not present with pull policy",
        "image-never-pulled",
        "{image} is not on the node, and the pod forbids pulling it",
        "set imagePullPolicy to IfNotPresent, or load the image on the node",
    ),
)


def pull_failure(reason: str, said: str, image: str) -> Reason:
    """Why the image is not there; ``reason`` is the container's, ``said`` the runtime's message."""
    # The image's own name must not be taken for what is said about it.
    words = f"{reason} {said.replace(image, '')}"
    for pattern, cause, what, remedy in _KINDS:
        if re.search(pattern, words, re.IGNORECASE):
            return Reason(cause, what.format(image=image), remedy.format(image=image))
    return Reason(
        "image-pull-failed",
        f"the node cannot get {image}",
        f"the evidence is what the container runtime says; {_CHECK.format(image=image)}",
    )
