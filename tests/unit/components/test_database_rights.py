"""What the service may do in its database."""

from __future__ import annotations

from components.database_rights import grants


def test_names_in_sql_are_quoted():
    assert '"a""b"' in grants("demo", 'a"b')
