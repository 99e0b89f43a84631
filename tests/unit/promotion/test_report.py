"""The answer of `status`."""

from __future__ import annotations

from promotion.status.report import next_commands, status_text

OUTPUTS = {
    "url": "http://203.0.113.7",
    "namespace": "addressbook",
    "traffic": "split",
    "tracks": {
        "canary": {"image": "registry/addressbook@sha256:cc", "replicas": 1, "share": 33.3},
        "stable": {"image": "registry/addressbook@sha256:aa", "replicas": 2, "share": 66.7},
    },
}


def test_stable_comes_first_with_share_and_digest():
    lines = status_text("dev", OUTPUTS).splitlines()
    assert lines[1] == "address   http://203.0.113.7"
    assert lines[-2].split() == ["stable", "2", "66.7%", "registry/addressbook@sha256:aa"]
    assert lines[-1].split() == ["canary", "1", "33.3%", "registry/addressbook@sha256:cc"]


def test_the_next_commands_use_the_real_address_and_stack():
    text = next_commands("staging", OUTPUTS)
    assert "http://203.0.113.7/person" in text
    assert "make canary STACK=staging" in text
