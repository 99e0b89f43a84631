"""The nodes' service account."""

from __future__ import annotations

from components.gcp.nodes import account_id


def test_account_ids_are_short_and_unique():
    short_name, long_name = "addressbook-test", "addressbook-a-very-long-stack-name"
    for name in (short_name, long_name):
        assert 6 <= len(account_id(name)) <= 30
    assert account_id(long_name) != account_id(f"{long_name}-2")
    assert account_id(short_name) == account_id(short_name)
