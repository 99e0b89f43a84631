"""What work with a DigitalOcean account needs on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home of somebody who has never used doctl, with a token that only the provider reads."""
    for name in ("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_token_and_command_are_named_at_once(
    faults: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(account))
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    (account / "doctl").unlink()
    assert [fault.split(":")[0] for fault in faults()] == ["credentials", "doctl"]


def test_a_token_that_doctl_does_not_read_is_not_enough(
    keys: Callable[..., Any], faults: Callable[..., list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
):
    (fault,) = faults()
    assert fault.startswith("credentials: the provider has a DigitalOcean API token, but doctl")
    assert str(home / ".config" / "doctl" / "config.yaml") in fault
    monkeypatch.delenv("DIGITALOCEAN_TOKEN")
    assert faults(**{"digitalocean:token": "x"}) == [fault]
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert keys()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('401 (request "1") Unable to authenticate you', "Unable to authenticate you); make a new API token"),
        ('403 (request "1") You are not authorized to perform this operation', ""),
    ],
)
def test_a_token_that_is_not_known_is_refused_and_one_of_few_rights_is_not(
    keys: Callable[..., Any], faults: Callable[..., list[str]], account: Path, answer: str, said: str
):
    script = f"""#!/bin/sh
[ "$*" = "account get" ] && [ "$DIGITALOCEAN_ACCESS_TOKEN" = of-the-provider ] || exit 0
printf '\\nError: GET https://api.digitalocean.com/v2/account: {answer}\\n' >&2
exit 1
"""
    (account / "doctl").write_text(script)
    assert keys(), "the token of the environment is another one"
    config = {"digitalocean:token": "of-the-provider"}
    if not said:
        assert keys(**config)
        return
    (fault,) = faults(**config)
    assert fault.startswith("credentials: DigitalOcean takes none from this machine (GET https://api.digitalocean.com")
    assert said in fault


@pytest.mark.parametrize(
    ("system", "variables", "file"),
    [
        ("linux", {}, ".config/doctl/config.yaml"),
        ("linux", {"XDG_CONFIG_HOME": "elsewhere"}, "elsewhere/doctl/config.yaml"),
        ("darwin", {"XDG_CONFIG_HOME": "elsewhere"}, "Library/Application Support/doctl/config.yaml"),
        ("linux", {"DIGITALOCEAN_CONFIG": "team.yaml"}, "team.yaml"),
    ],
)
def test_a_login_of_doctl_is_found_where_doctl_looks(
    keys: Callable[..., Any],
    faults: Callable[..., list[str]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    variables: dict[str, str],
    file: str,
):
    monkeypatch.setattr(sys, "platform", system)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(home / value))
    assert str(home / file) in faults()[0]
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_text("access-token: x\n")
    assert keys()
