"""Images by digest."""

from __future__ import annotations

import pytest

from contract.image import Image, digest_of, repository_of, short

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize("tag", ["", ":v1"])
def test_an_image_by_digest_loses_its_tag(tag: str):
    image = Image.parse(f"registry.example:5000/shop{tag}@{DIGEST}")
    assert image == Image("registry.example:5000/shop", DIGEST)
    assert str(image) == f"registry.example:5000/shop@{DIGEST}"


@pytest.mark.parametrize("text", ["", "source", "shop:v1", "shop@sha256:abc", f"@{DIGEST}", f"shop@{DIGEST}\n"])
def test_other_names_are_no_image_by_digest(text: str):
    assert Image.parse(text) is None


def test_parts_of_a_reference():
    assert (digest_of(f"shop@{DIGEST}"), repository_of(f"shop@{DIGEST}")) == (DIGEST, "shop")
    assert (digest_of("source"), digest_of("")) == ("", "")


def test_short_shortens_every_image_in_a_text():
    assert short(f"shop@{DIGEST} to {DIGEST}") == f"sha256:{'a' * 12} to sha256:{'a' * 12}"
