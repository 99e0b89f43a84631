"""A fingerprint that changes with the settings and does not reveal them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

import pulumi

#: Hex digits kept: no collisions in practice, and short enough to read in a diff.
FINGERPRINT_DIGITS = 32


def fingerprint(key: pulumi.Output[str], settings: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """Return the HMAC-SHA256 of the settings under a secret key, as hex digits.

    The result is no secret: without the key nobody can test guesses of a password against it.
    """

    def keyed_hash(secret: str, values: dict[str, str]) -> str:
        text = json.dumps(sorted(values.items()))
        return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT_DIGITS]

    return pulumi.Output.unsecret(
        pulumi.Output.all(key, pulumi.Output.all(**settings)).apply(lambda resolved: keyed_hash(*resolved))
    )
