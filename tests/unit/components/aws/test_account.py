"""What work with an AWS account needs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.aws.account import lacking


def test_credentials_that_aws_refuses(faults: Callable[..., list[str]], account: Path):
    assert lacking() == []
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
