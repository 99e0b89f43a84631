"""What a repository on GitHub lacks for its workflows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.doctor import doctor
from pipeline.errors import StepError, UsageError

GH = """
import json, pathlib, sys
answers = json.loads(pathlib.Path(__file__).with_name("answers.json").read_text())
if sys.argv[1] == "repo":
    print("owner/name")
    sys.exit()
path = sys.argv[2].removeprefix("repos/owner/name/")
if path not in answers:
    sys.exit("gh: Not Found (HTTP 404)")
if answers[path] == "refused":
    sys.exit("gh: Must have admin rights to Repository. (HTTP 403)")
print(json.dumps(answers[path]))
"""
REVIEWERS = {"protection_rules": [{"type": "required_reviewers"}]}
RULES = [
    {"type": "pull_request"},
    {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "required"}]}},
]


def variables(**values: str) -> dict[str, Any]:
    return {"variables": [{"name": name, "value": value} for name, value in values.items()]}


def secrets(*names: str) -> dict[str, Any]:
    return {"secrets": [{"name": name} for name in names]}


COMPLETE = {
    "actions/permissions/workflow": {"can_approve_pull_request_reviews": True},
    "rules/branches/main": RULES,
    "actions/variables?per_page=100": variables(REGISTRY="ghcr.io/owner", PULUMI_BACKEND_URL="s3://x?endpoint=e"),
    "actions/secrets?per_page=100": secrets("STATE_KEY_ID", "STATE_KEY"),
    "environments/prod": REVIEWERS,
    "environments/prod/secrets?per_page=100": secrets("DIGITALOCEAN_ACCESS_TOKEN"),
    "environments/prod/variables?per_page=100": variables(AWS_ROLE="r", AWS_REGION="eu-west-1"),
    "environments/preview-prod": {"protection_rules": []},
    "environments/preview-prod/secrets?per_page=100": secrets("DIGITALOCEAN_ACCESS_TOKEN"),
    "environments/preview-prod/variables?per_page=100": variables(AWS_ROLE="r", AWS_REGION="eu-west-1"),
}


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "bin" / "gh"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\n{GH}")
        program.chmod(0o755)
        (folder / ".github").mkdir()
        self.use("prod")
        (folder / "Pulumi.prod.yaml").write_text(
            "secretsprovider: awskms://alias/key\nconfig: {addressbook:cloud: digitalocean}\n"
        )

    def use(self, production: str) -> None:
        (self.folder / ".github" / "stacks.yaml").write_text(f"staging: []\nproduction: [{production}]\n")

    def missing(self, **changes: Any) -> list[str]:
        """Return what is missing; a change of an answer to None removes it."""
        answers = {path: answer for path, answer in {**COMPLETE, **changes}.items() if answer is not None}
        (self.folder / "bin" / "answers.json").write_text(json.dumps(answers))
        return [each.what for each in doctor(self.folder) if not each.ok]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Repository(tmp_path)


def test_a_complete_repository_lacks_nothing(repository: Repository):
    assert repository.missing() == []


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"actions/permissions/workflow": {}}, ["Actions may create pull requests"]),
        ({"rules/branches/main": RULES[:1]}, ["main requires the check `required`"]),
        ({"environments/preview-prod": None}, ["environment preview-prod"]),
        ({"environments/prod": {"protection_rules": []}}, ["environment prod: reviewers"]),
        (
            {"environments/prod/secrets?per_page=100": None},
            ["environment prod: secret DIGITALOCEAN_ACCESS_TOKEN"],
        ),
        (
            {"actions/secrets?per_page=100": secrets("STATE_KEY")},
            ["environment prod: secret STATE_KEY_ID", "environment preview-prod: secret STATE_KEY_ID"],
        ),
        (
            {"actions/variables?per_page=100": variables(PULUMI_BACKEND_URL="https://api.pulumi.com")},
            [
                "variable REGISTRY",
                "environment prod: variable PULUMI_ORGANIZATION",
                "environment preview-prod: variable PULUMI_ORGANIZATION",
            ],
        ),
        (
            {"actions/organization-variables?per_page=100": variables(SIGNING_KEY="env://COSIGN_PRIVATE_KEY")},
            ["secret COSIGN_PRIVATE_KEY"],
        ),
        (
            {"environments/prod/variables?per_page=100": variables(AWS_ROLE="r")},
            ["environment prod: variable AWS_REGION"],
        ),
    ],
)
def test_what_is_missing_is_named(repository: Repository, change: dict[str, Any], missing: list[str]):
    assert repository.missing(**change) == missing


def test_a_new_repository_has_no_stacks_in_use(repository: Repository):
    repository.use("")
    assert repository.missing() == ["stacks in use"]


def test_a_refusal_is_one_sentence(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(StepError, match="Must have admin rights to Repository"):
        repository.missing(**{"rules/branches/main": "refused"})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="`gh` is not on PATH"):
        repository.missing()
