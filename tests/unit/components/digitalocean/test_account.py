"""Prerequisites of work with a DigitalOcean account."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Provide a home folder without doctl's config, and a token that only the provider reads."""
    for name in ("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "x")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_missing_token_and_command_are_reported_at_once(
    errors: Callable[..., list[str]], account: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(account))
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN")
    (account / "doctl").unlink()
    assert [error.split(":")[0] for error in errors()] == ["credentials", "doctl"]


def test_doctl_needs_a_token_too(
    keys: Callable[..., Any], errors: Callable[..., list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
):
    (error,) = errors()
    assert error.startswith("credentials: the provider has a DigitalOcean API token, but doctl")
    assert str(home / ".config" / "doctl" / "config.yaml") in error
    monkeypatch.delenv("DIGITALOCEAN_TOKEN")
    assert errors(**{"digitalocean:token": "x"}) == [error]
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "x")
    assert keys()


def test_an_error_in_json_is_read(errors: Callable[..., list[str]], account: Path):
    (account / "doctl").write_text(
        '#!/bin/sh\necho \'{"errors": [{"detail": "GET https://api: 401 Unable to authenticate you"}]}\'; exit 1\n'
    )
    (error,) = errors()
    assert "refuses the API token (GET https://api: 401 Unable to authenticate you)" in error


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('401 (request "1") Unable to authenticate you', "Unable to authenticate you); create a new one"),
        ('403 (request "1") You are not authorized to perform this operation', ""),
    ],
)
def test_an_unknown_token_is_refused_but_not_a_limited_one(
    keys: Callable[..., Any], errors: Callable[..., list[str]], account: Path, answer: str, message: str
):
    script = f"""#!/bin/sh
[ "$*" = "account get --output json" ] && [ "$DIGITALOCEAN_ACCESS_TOKEN" = of-the-provider ] || exit 0
printf '\\nError: GET https://api.digitalocean.com/v2/account: {answer}\\n' >&2
exit 1
"""
    (account / "doctl").write_text(script)
    assert keys(), "the environment has another token"
    config = {"digitalocean:token": "of-the-provider"}
    if not message:
        assert keys(**config)
        return
    (error,) = errors(**config)
    assert error.startswith("credentials: DigitalOcean refuses the API token (GET https://api.digitalocean.com")
    assert message in error


@pytest.mark.parametrize(
    ("system", "variables", "file"),
    [
        ("linux", {}, ".config/doctl/config.yaml"),
        ("linux", {"XDG_CONFIG_HOME": "elsewhere"}, "elsewhere/doctl/config.yaml"),
        ("darwin", {"XDG_CONFIG_HOME": "elsewhere"}, "Library/Application Support/doctl/config.yaml"),
        ("linux", {"DIGITALOCEAN_CONFIG": "team.yaml"}, "team.yaml"),
    ],
)
def test_doctls_login_is_found_where_doctl_looks(
    keys: Callable[..., Any],
    errors: Callable[..., list[str]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    variables: dict[str, str],
    file: str,
):
    monkeypatch.setattr(sys, "platform", system)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(home / value))
    assert str(home / file) in errors()[0]
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_text("access-token: x\n")
    assert keys()
