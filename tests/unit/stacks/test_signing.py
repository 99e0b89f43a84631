"""With imageVerification, an image must be signed before an update changes anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import signature
from contract.image import digest_of
from contract.settings import ReleaseSettings
from contract.update import FORMER_STABLE
from stacks import signing
from stacks.parsing import ConfigError, parse

NEW, RUNNING, OTHER = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "abc")
KEYLESS = "keyless https://issuer.example https://github.com/OWNER/NAME/.github/workflows/main.yaml@refs/heads/main"
RAN_BEFORE = {"tracks": {"stable": {"image": RUNNING.replace("registry", "own-registry")}}}


class Cosign:
    """A simulated cosign; ``answer`` is a line of shell, ``calls`` what it was asked."""

    def __init__(self, folder: Path) -> None:
        self._program, self._log = folder / "cosign", folder / "log"
        self.answer("exit 0")

    def answer(self, line: str) -> None:
        self._program.write_text(f'#!/bin/sh\necho "$*" >> {self._log}\n{line}\n')
        self._program.chmod(0o755)

    def remove(self) -> None:
        self._program.unlink()

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cosign:
    others = [each for each in os.environ["PATH"].split(":") if not (Path(each) / "cosign").exists()]
    monkeypatch.setenv("PATH", ":".join([str(tmp_path), *others]))
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    ran(monkeypatch, RAN_BEFORE)
    return Cosign(tmp_path)


def ran(monkeypatch: pytest.MonkeyPatch, outputs: dict[str, Any]) -> None:
    monkeypatch.setattr(signing, "own_outputs", lambda: outputs)


def settings(**values: Any) -> ReleaseSettings:
    return ReleaseSettings.model_validate(
        {"stableImage": RUNNING, "canaryImage": NEW, "canaryReplicas": 1, "imageVerification": "cosign.pub", **values}
    )


@pytest.mark.parametrize(
    ("signer", "options"),
    [
        ("cosign.pub", "--key cosign.pub --insecure-ignore-tlog=true"),
        ("awskms:///alias/images", "--key awskms:///alias/images --insecure-ignore-tlog=true"),
        (KEYLESS, f"--certificate-oidc-issuer https://issuer.example --certificate-identity {KEYLESS.split()[-1]}"),
    ],
)
def test_only_an_image_that_is_new_is_verified(cosign: Cosign, signer: str, options: str):
    signing.refuse_unsigned(settings(imageVerification=signer))
    assert cosign.calls == [f"verify {options} {NEW}"]


def test_an_image_that_stable_returns_to_is_not_verified(cosign: Cosign, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(FORMER_STABLE, digest_of(NEW))
    signing.refuse_unsigned(settings(stableImage=NEW, canaryImage=""))
    assert cosign.calls == []
    signing.refuse_unsigned(settings(stableImage=OTHER, canaryImage=""))
    assert len(cosign.calls) == 1


def test_every_image_is_verified_in_the_first_update(cosign: Cosign, monkeypatch: pytest.MonkeyPatch):
    for outputs in ({}, {"url": "(an update that failed before the tracks)"}):
        ran(monkeypatch, outputs)
        signing.refuse_unsigned(settings())
    assert [each.split()[-1] for each in cosign.calls] == [NEW, RUNNING] * 2


def test_an_image_without_a_good_signature_is_refused(cosign: Cosign):
    cosign.answer("echo 'Error: no signatures found\nmain.go:77: error during command execution' >&2; exit 10")
    with pytest.raises(pulumi.RunError, match="invalid config, nothing was changed") as refused:
        signing.refuse_unsigned(settings())
    (error,) = str(refused.value).splitlines()[1:]
    assert error.strip(" -") == (
        f"canaryImage: {NEW} has no valid signature of the signer in imageVerification (no signatures found);"
        " name a signed image, or sign this one with `cosign sign`"
    )


def test_a_silent_registry_refuses_the_image(cosign: Cosign, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(signature, "TIMEOUT_SECONDS", 0.1)
    cosign.answer("exec sleep 600")
    with pytest.raises(pulumi.RunError, match=r"canaryImage: .* \(no answer within 0.1 seconds\)"):
        signing.refuse_unsigned(settings())


def test_cosign_is_needed_only_for_images_to_verify(cosign: Cosign):
    cosign.remove()
    signing.refuse_unsigned(settings(canaryReplicas=0))
    signing.refuse_unsigned(settings(imageVerification=""))
    with pytest.raises(pulumi.RunError, match=f"cosign: is not on PATH, but is needed to verify .* {NEW}; install it"):
        signing.refuse_unsigned(settings())


def test_what_an_update_builds_is_refused():
    config = {"imageVerification": "cosign.pub", "canaryImage": "source", "canaryReplicas": "1"}
    with pytest.raises(
        ConfigError, match=r"stableImage: this stack builds nothing \(imageVerification is set\)"
    ) as both:
        parse(config, None)
    assert "canaryImage: this stack builds nothing" in str(both.value)


@pytest.mark.parametrize("value", ["my key", "keyless https://issuer.example", "http://x.example/k.pub", "cosign.key"])
def test_an_unusable_signer_is_explained(value: str):
    with pytest.raises(ConfigError, match=r"imageVerification = .* does not have the form"):
        parse({"imageVerification": value}, None)
