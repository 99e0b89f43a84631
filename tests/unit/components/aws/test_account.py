"""What work with an AWS account needs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.aws.account import caller_identity, missing_prerequisites


def test_credentials_that_aws_refuses(faults: Callable[..., list[str]], account: Path):
    assert missing_prerequisites() == []
    caller_identity.cache_clear()
    (account / "aws").write_text(
        "#!/bin/sh\necho 'The security token included in the request is expired' >&2\nexit 254\n"
    )
    (fault,) = faults()
    assert fault.startswith("credentials: AWS takes none from this machine (The security token")
    assert "aws sso login" in fault


def test_an_answer_that_does_not_come_is_not_waited_for(
    account: Path, monkeypatch: pytest.MonkeyPatch, faults: Callable[..., list[str]]
):
    (account / "aws").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("components.aws.account.ANSWER_SECONDS", 0.2)
    assert "no answer in 0.2 s" in faults()[0]


def test_without_what_tags_images_nothing_is_made(faults: Callable[..., list[str]], account: Path):
    (account / "regctl").unlink()
    (fault,) = faults()
    assert fault.startswith("regctl: not on PATH, and it tags what runs, so that the registry's clean-up spares it")


def test_a_stack_is_made_in_its_own_account_only(graph: Callable[..., Any], account: Path, faults: Any):
    identity = '{"UserId": "AIDA", "Account": "210987654321", "Arn": "arn:aws:iam::210987654321:user/ada"}'
    (account / "aws").write_text(f"#!/bin/sh\necho '{identity}'\n")
    (provider,) = graph(awsAccount="210987654321").all("aws")
    assert provider.inputs["allowedAccountIds"] == '["210987654321"]'
    with pytest.raises(pulumi.RunError, match=r"awsAccount = '123456789012': .* are of account 210987654321;"):
        graph(awsAccount="123456789012")
    caller_identity.cache_clear()
    (account / "aws").write_text("#!/bin/sh\n")
    with pytest.raises(pulumi.RunError, match=r"of account \(no answer\)"):
        graph(awsAccount="123456789012")
    assert "allowedAccountIds" not in graph().all("aws")[0].inputs
    (fault,) = faults(awsAccount="our-account")
    assert fault.startswith("awsAccount = 'our-account'")
