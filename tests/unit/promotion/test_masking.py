"""Secrets are masked in every form in which logs show them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from promotion.diagnosis.masking import MASK, Mask

VALUE = 'p@ss/"word"+1234'


@pytest.mark.parametrize(
    "text",
    [VALUE, quote(VALUE, safe=""), json.dumps({"x": VALUE}), base64.b64encode(VALUE.encode()).decode()],
)
def test_a_known_value_is_masked_in_every_form(text: str):
    masked = Mask([VALUE])(f"before {text} after")
    assert MASK in masked
    for form in (VALUE, quote(VALUE, safe=""), json.dumps(VALUE)[1:-1], base64.b64encode(VALUE.encode()).decode()):
        assert form not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_lines_of_a_longer_value_are_masked():
    masked = Mask(["-----BEGIN KEY-----\nMIIabcdef\n-----END KEY-----\n"])("read MIIabcdef from the file")
    assert masked == f"read {MASK} from the file"


def test_a_short_value_is_masked_as_a_whole_word():
    assert Mask(["abcd"])("abcd abcdef") == f"{MASK} abcdef"


def test_values_under_four_characters_are_not_masked():
    assert Mask(["1"])("1 of 11 pods") == "1 of 11 pods"


def test_the_longer_value_is_masked_first():
    assert Mask(["secret-one", "secret-one-two"])("secret-one-two") == MASK


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://me:hush@db/x", f"postgres://me:{MASK}@db/x"),
        ("password=hush, user=me", f"password={MASK}, user=me"),
        ('{"token": "hush", "user": "me"}', f'{{"token": {MASK}, "user": "me"}}'),
        ("api-key: hush", f"api-key: {MASK}"),
        ("see DB_USER, DB_PASSWORD and DB_SSL.", "see DB_USER, DB_PASSWORD and DB_SSL."),
        ('secret "db-params" not found', 'secret "db-params" not found'),
    ],
)
def test_text_that_looks_like_a_secret_is_masked(text: str, masked: str):
    assert Mask()(text) == masked
