"""Which image `rollback --to` names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from contract.image import digest_of
from promotion.errors import WRONG_USE, CommandError
from promotion.state.history import Release, Update, image_in_history

A, B, C = (f"registry.example/addressbook@sha256:{digits}{'0' * 56}" for digits in ("aaaa1111", "aaaa2222", "cccc3333"))
NOW = datetime.now(UTC)


def update(**config: str) -> Update:
    plain: dict[str, Any] = {"kind": "update", "message": "", "result": "succeeded", "author": "", "commit": ""}
    return Update(number=0, time=NOW, edited=False, config=config, **plain)


UPDATES = [update(stableImage=B), update(stableImage=A, canaryImage=C), update(stableImage=A), update(stableImage="")]
RELEASES = [Release(number, NOW, image, "", "succeeded", ()) for number, image in ((3, B), (2, A), (1, ""))]


@pytest.mark.parametrize(
    ("to", "image"),
    [
        ("2", A),
        ("3", B),
        (A, A),
        (digest_of(A), A),
        ("aaaa1111", A),
        ("sha256:aaaa2222", B),
        ("cccc33", C),
    ],
)
def test_an_image_by_number_or_digest(to: str, image: str):
    assert image_in_history(to, RELEASES, UPDATES) == image


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("1", "built from source and never pinned"),
        ("7", "is not in the stack's history"),
        ("aaaa", "of 6 digits or more"),
        ("aaaa00", "is not in the stack's history"),
        ("sha256:ffffffff", "is not in the stack's history"),
        ("v2", "neither a release's number nor a digest"),
    ],
)
def test_an_ambiguous_or_unknown_image_is_refused(to: str, why: str):
    with pytest.raises(
        CommandError, match=rf"{why}.*known.*3 \(sha256:aaaa22220000\), 2 \(sha256:aaaa11110000\)$"
    ) as refused:
        image_in_history(to, RELEASES, UPDATES)
    assert refused.value.code == WRONG_USE


def test_digits_of_several_digests_are_refused():
    twins = [update(stableImage=A), update(stableImage=f"{A[:-1]}1")]
    with pytest.raises(CommandError, match="2 images in the stack's history start with it"):
        image_in_history("aaaa1111", RELEASES, twins)
