"""Settings of a trial as edits of the stack file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.settings import ReleaseSettings
from promotion.errors import CommandError
from promotion.operations import config_edits
from promotion.operations.settings_edits import canary_settings_to_stable, earlier_settings
from promotion.state.history import SECRET
from promotion.state.stack_file import StackFile

OLD, NEW = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "ab")
TRIAL = ReleaseSettings.model_validate({"stableImage": OLD, "canaryImage": NEW, "canaryReplicas": 1})
ONE, TWO, THREE = ({"secure": f"v1:{number}"} for number in "123")


def moved(**config: Any) -> dict[str, Any]:
    """Return the edits of a promotion, decoded."""
    edits = canary_settings_to_stable(config)
    return {
        key: value and (json.loads(value) if value[0] in "[{" and value != SECRET else value)
        for key, value in edits.items()
    }


CASES = {
    "nothing differs": ({"environment": {"A": "1"}}, {}),
    "a variable is added": (
        {"environment": {"A": "1"}, "canarySettings": {"environment": {"B": "2"}}},
        {"environment": {"A": "1", "B": "2"}},
    ),
    "the last variable is removed": (
        {"environment": {"A": "1"}, "canarySettings": {"environment": {"A": None}}},
        {"environment": None},
    ),
    "other settings": (
        {"canarySettings": {"memoryLimit": "512Mi", "preStopSeconds": 0, "migrateCommand": []}},
        {"memoryLimit": "512Mi", "preStopSeconds": "0", "migrateCommand": []},
    ),
    "ciphertext moves as it stands": (
        {"secretEnvironment": {"A": ONE, "B": TWO}, "canarySecretEnvironment": {"B": THREE}},
        {"secretEnvironment": {"A": ONE, "B": THREE}},
    ),
    "a secret variable becomes plain": (
        {"secretEnvironment": {"A": ONE}, "canarySettings": {"environment": {"A": "1"}}},
        {"environment": {"A": "1"}, "secretEnvironment": None},
    ),
    "a plain variable becomes secret": (
        {"environment": {"A": "1", "B": "2"}, "canarySecretEnvironment": {"A": ONE}},
        {"environment": {"B": "2"}, "secretEnvironment": {"A": ONE}},
    ),
    "a secret variable is removed": (
        {"secretEnvironment": {"A": ONE, "B": TWO}, "canarySettings": {"environment": {"A": None}}},
        {"secretEnvironment": {"B": TWO}},
    ),
    "secrets that the history hides": (
        {"environment": '{"A": "1"}', "canarySecretEnvironment": "[secret]", "canarySettings": '{"port": 80}'},
        {"port": "80", "secretEnvironment": "[secret]"},
    ),
    "an object in JSON": (
        {"environment": '{"A": "1"}', "canarySettings": '{"environment": {"A": "2"}}'},
        {"environment": {"A": "2"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_promotion_moves_settings_to_stables_keys(case: str):
    config, expected = CASES[case]
    assert moved(**config) == expected


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"canarySecretEnvironment": ONE}, "canarySecretEnvironment is encrypted as a whole"),
        (
            {"secretEnvironment": ONE, "canarySecretEnvironment": {"A": TWO}},
            "secretEnvironment is encrypted as a whole",
        ),
        ({"canarySettings": "debug"}, "canarySettings is not an object"),
    ],
)
def test_settings_that_cannot_be_merged_are_refused(config: dict[str, Any], match: str):
    with pytest.raises(CommandError, match=match):
        canary_settings_to_stable(config)


FILE = f"""\
encryptionsalt: v1:salt
config:
  addressbook:cloud: local # where it runs
  addressbook:stableImage: {OLD}
  addressbook:canaryImage: {NEW}
  addressbook:canaryReplicas: "1"
  addressbook:environment:
    KEPT: "1" # why
    CHANGED: "1"
  addressbook:secretEnvironment:
    TOKEN:
      secure: v1:old
  addressbook:canarySettings:
    environment:
      CHANGED: "2"
    memoryLimit: 512Mi
  addressbook:canarySecretEnvironment:
    TOKEN:
      secure: v1:new
"""


def edited(tmp_path: Path, edits: Any) -> dict[str, Any]:
    """Return the config of the edited file, without the project's prefix."""
    file = StackFile(tmp_path / "Pulumi.dev.yaml")
    file.path.write_text(FILE)
    config = {key.removeprefix(file.prefix): value for key, value in file.config().items()}
    text = file.edited(edits(TRIAL, config))
    assert "# where it runs" in text
    return {key.removeprefix(file.prefix): value for key, value in yaml.safe_load(text)["config"].items()}


def test_promotion_moves_image_and_settings_in_the_file(tmp_path: Path):
    assert edited(tmp_path, config_edits.promote) == {
        "cloud": "local",
        "stableImage": NEW,
        "memoryLimit": "512Mi",
        "environment": {"KEPT": "1", "CHANGED": "2"},
        "secretEnvironment": {"TOKEN": {"secure": "v1:new"}},
    }


def test_removing_the_canary_removes_its_settings(tmp_path: Path):
    assert edited(tmp_path, lambda release, _: config_edits.remove_canary(release)) == {
        "cloud": "local",
        "stableImage": OLD,
        "environment": {"KEPT": "1", "CHANGED": "1"},
        "secretEnvironment": {"TOKEN": {"secure": "v1:old"}},
    }


def test_earlier_settings_come_back_without_secrets():
    earlier = {"memoryLimit": "256Mi", "environment": '{"A": "1"}', "port": "3000", "secretEnvironment": SECRET}
    config = {"memoryLimit": "512Mi", "environment": {"A": "2"}, "secretEnvironment": {"T": ONE}, "cpuRequest": "1"}
    assert earlier_settings(earlier, config) == {"memoryLimit": None, "environment": '{"A": "1"}', "cpuRequest": None}


def test_secrets_go_if_the_earlier_config_had_none():
    assert earlier_settings({}, {"secretEnvironment": {"T": ONE}}) == {"secretEnvironment": None}


def test_unchanged_settings_are_not_edited():
    assert earlier_settings({"environment": '{"B": "2", "A": "1"}'}, {"environment": {"A": "1", "B": "2"}}) == {}
    assert earlier_settings({"memoryLimit": "256Mi", "preStopSeconds": "5"}, {"preStopSeconds": 5}) == {}
