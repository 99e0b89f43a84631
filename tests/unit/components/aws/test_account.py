"""Prerequisites of work with an AWS account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.aws.account import caller_identity, missing_prerequisites


def test_refused_credentials_are_reported(errors: Callable[..., list[str]], account: Path):
    assert missing_prerequisites() == []
    caller_identity.cache_clear()
    (account / "aws").write_text(
        "#!/bin/sh\necho 'The security token included in the request is expired' >&2\nexit 254\n"
    )
    (error,) = errors()
    assert error.startswith("credentials: AWS rejects those of this machine (The security token")
    assert "aws sso login" in error


def test_a_missing_answer_ends_in_a_timeout(
    account: Path, monkeypatch: pytest.MonkeyPatch, errors: Callable[..., list[str]]
):
    (account / "aws").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("components.aws.account.CALL_SECONDS", 0.2)
    assert "no answer in 0.2 s" in errors()[0]


def test_regctl_is_required(errors: Callable[..., list[str]], account: Path):
    (account / "regctl").unlink()
    (error,) = errors()
    assert error.startswith("regctl: is not on PATH, but is needed to tag the images in use")


def test_another_account_is_refused(graph: Callable[..., Any], account: Path, errors: Any):
    identity = '{"UserId": "AIDA", "Account": "210987654321", "Arn": "arn:aws:iam::210987654321:user/ada"}'
    (account / "aws").write_text(f"#!/bin/sh\necho '{identity}'\n")
    (provider,) = graph(awsAccount="210987654321").all("aws")
    assert provider.inputs["allowedAccountIds"] == '["210987654321"]'
    with pytest.raises(pulumi.RunError, match=r"awsAccount = '123456789012': .* are of account 210987654321;"):
        graph(awsAccount="123456789012")
    assert "allowedAccountIds" not in graph().all("aws")[0].inputs
    caller_identity.cache_clear()
    (account / "aws").write_text("#!/bin/sh\n")
    with pytest.raises(pulumi.RunError, match=r"of account \(no answer\)"):
        graph(awsAccount="123456789012")
    (error,) = errors(awsAccount="our-account")
    assert error.startswith("awsAccount = 'our-account'")
