"""Verify signatures of images with cosign, which keeps them in the registry beside the image."""

from __future__ import annotations

import re
import shutil
import subprocess

TOOL = "cosign"
INSTALL = (
    'https://docs.sigstore.dev/cosign/system_config/installation/, `brew install cosign` or `.github/tools "" cosign`'
)
#: An identity and who vouches for it, such as a workflow and GitHub; any other text names a key.
KEYLESS = re.compile(r"keyless (?P<issuer>\S+) (?P<identity>\S+)")
#: Longest time that a registry and the transparency log may take.
TIMEOUT_SECONDS = 120.0


class SignatureError(Exception):
    """An image has no good signature, or cosign could not find out; the message is one line."""


def missing_prerequisites(images: set[str]) -> list[str]:
    """Return an error if signatures of these images must be verified and cosign is missing."""
    if not images or shutil.which(TOOL):
        return []
    return [
        f"{TOOL}: is not on PATH, but is needed to verify the signature of {', '.join(sorted(images))}; {_install()}"
    ]


def verify(image: str, signer: str) -> None:
    """Verify that the image (REPOSITORY@sha256:DIGEST) is signed by ``signer``, in the form of `imageVerification`.

    Uses the user's own login. A signature by a key needs no entry in a transparency log, because a private image is in
    none. Raises SignatureError.
    """
    keyless = KEYLESS.fullmatch(signer)
    chosen = (
        ["--certificate-oidc-issuer", keyless["issuer"], "--certificate-identity", keyless["identity"]]
        if keyless
        else ["--key", signer, "--insecure-ignore-tlog=true"]
    )
    _run(["verify", *chosen, image])


def _run(arguments: list[str]) -> None:
    try:
        done = subprocess.run(
            [TOOL, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise SignatureError(f"{TOOL} is not on PATH; {_install()}") from None
    except subprocess.TimeoutExpired:
        raise SignatureError(f"no answer within {TIMEOUT_SECONDS:g} seconds") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("Error: ")]
        raise SignatureError(lines[0].removeprefix("Error: ") if lines else f"exit code {done.returncode}")


def _install() -> str:
    return f"install it ({INSTALL})"
