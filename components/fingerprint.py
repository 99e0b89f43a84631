"""A fingerprint of settings that says when they change and nothing of what they are."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

import pulumi

#: Hex digits kept: enough that two settings never look alike, short enough to read in a diff.
FINGERPRINT_DIGITS = 32


def fingerprint(key: pulumi.Output[str], settings: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """HMAC-SHA256 of the settings under a secret key, as hex digits, no secret itself.

    Without the key nobody can try out guesses of a password against it, so it may stand in plain annotations.
    """

    def keyed_hash(known: tuple[str, dict[str, str]]) -> str:
        secret, values = known
        text = json.dumps(sorted(values.items()))
        return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT_DIGITS]

    return pulumi.Output.unsecret(
        pulumi.Output.all(key, pulumi.Output.all(**settings)).apply(lambda known: keyed_hash((known[0], known[1])))
    )
