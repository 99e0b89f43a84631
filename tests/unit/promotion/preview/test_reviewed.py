"""`up --expect` accepts the reviewed preview's digest or file, and nothing that only looks like one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from promotion.errors import WRONG_USE, CommandError
from promotion.preview.planned import Plan
from promotion.preview.reviewed import ReviewedPreview
from promotion.preview.steps import digest_of_steps

STEPS = ("update urn:a", "  spec.replicas: 3 -> 2")
PLAN = Plan("addressbook", "prod", None, None, (), 20, "", "", steps=STEPS, digest=digest_of_steps(STEPS))
OTHER_STEPS = ("update urn:a", "  spec.replicas: 5 -> 2")
OTHER = replace(PLAN, steps=OTHER_STEPS, digest=digest_of_steps(OTHER_STEPS))


def saved(folder: Path, **changes: object) -> str:
    file = folder / "preview.json"
    file.write_text(json.dumps({**asdict(PLAN), **changes}))
    return str(file)


def test_same_steps_are_accepted_by_digest_and_by_file(tmp_path: Path):
    for expect in (PLAN.digest, saved(tmp_path), saved(tmp_path, stack="acme/addressbook/prod")):
        assert ReviewedPreview.of(expect, "prod").difference(PLAN) == ""


def test_a_file_gives_both_lists(tmp_path: Path):
    difference = ReviewedPreview.of(saved(tmp_path), "prod").difference(OTHER)
    assert difference.splitlines()[-3:] == [" update urn:a", "-  spec.replicas: 3 -> 2", "+  spec.replicas: 5 -> 2"]


def test_a_digest_gives_both_digests_and_the_present_list():
    difference = ReviewedPreview.of(PLAN.digest, "prod").difference(OTHER)
    assert difference.splitlines() == [f"reviewed: {PLAN.digest}", f"now:      {OTHER.digest}", *OTHER_STEPS]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stack": "staging"}, "is a preview of stack `staging`, not of `prod`"),
        ({"steps": OTHER_STEPS}, "the file was edited"),
        ({"digest": ""}, "the preview failed"),
        ({"steps": None}, "is not a preview"),
    ],
)
def test_unusable_documents_are_refused(tmp_path: Path, changes: dict[str, object], reason: str):
    with pytest.raises(CommandError, match=reason) as error:
        ReviewedPreview.of(saved(tmp_path, **changes), "prod")
    assert error.value.code == WRONG_USE


@pytest.mark.parametrize("expect", ["", "sha256:abc", "preview.json", PLAN.digest.upper()])
def test_neither_a_digest_nor_a_file_is_refused(expect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match="neither a digest") as error:
        ReviewedPreview.of(expect, "prod")
    assert error.value.code == WRONG_USE
    (tmp_path / "preview.json").write_text("{")
    with pytest.raises(CommandError, match="is not a preview"):
        ReviewedPreview.of("preview.json", "prod")
