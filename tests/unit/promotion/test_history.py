"""Updates and releases, from what the state backend records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi import automation

from contract.image import digest_of
from promotion.errors import CommandError
from promotion.state import history
from promotion.state.history import Change, Update, differences, releases, releases_of, updates

A, B, C = (f"registry/addressbook@sha256:{digit * 64}" for digit in "abc")
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def summary(number: int, *, result: str = "succeeded", kind: str = "update", message: str = "", **config: Any) -> Any:
    """Return the Automation API's summary of one update."""
    changes = cast(Any, config.pop("changes", {"same": 20}))
    secret = cast(dict[str, str], config.pop("secret", {}))
    return automation.UpdateSummary(
        kind=kind,
        start_time=(BEGAN + timedelta(minutes=number)).replace(tzinfo=None),
        message=message or f"update {number}",
        environment={"git.author": "Ada", "git.head": "f" * 40, "git.dirty": "true"},
        config={
            **{f"addressbook:{key}": {"value": value, "secret": False} for key, value in config.items()},
            **{f"addressbook:{key}": {"secret": True} for key in secret},
            "other:stableImage": {"value": "another project's", "secret": False},
        },
        result=result,
        resource_changes=changes,
    )


class RecordedStack:
    """A stack with a given history, in pages as the engine returns it."""

    name = "dev"

    def __init__(self, *oldest_first: Any, most: int = 1000) -> None:
        self._summaries = list(reversed(oldest_first))
        self._most = most
        self.pages: list[tuple[int, int]] = []
        self.workspace = SimpleNamespace(project_settings=lambda: SimpleNamespace(name="addressbook"))

    def history(self, page_size: int | None = None, page: int | None = None, show_secrets: bool = True) -> list[Any]:
        assert page_size is not None, "without a size the engine returns 10"
        assert not show_secrets
        assert page
        self.pages.append((page_size, page))
        size = min(page_size, self._most)
        return self._summaries[(page - 1) * size : page * size]


def stack(*oldest_first: Any, most: int = 1000) -> Any:
    return RecordedStack(*oldest_first, most=most)


def test_updates_are_newest_first_numbered_from_the_oldest():
    found = updates(stack(summary(1, stableImage=A), summary(2, stableImage=B)))
    assert [update.number for update in found] == [2, 1]
    assert found[0].time == BEGAN + timedelta(minutes=2)
    assert (found[0].author, found[0].commit, found[0].edited) == ("Ada", "f" * 40, True)


def test_all_pages_are_read_even_if_they_are_small():
    recorded = stack(*(summary(number, stableImage=A) for number in range(1, 26)), most=10)
    assert [update.number for update in updates(recorded)] == list(range(25, 0, -1))
    assert [page for _, page in recorded.pages] == [1, 2, 3, 4]


def test_the_newest_need_one_page():
    recorded = stack(*(summary(number, stableImage=A) for number in range(1, 26)))
    assert len(updates(recorded, newest=3)) == 3
    assert recorded.pages == [(3, 1)]


def test_changes_since_the_last_update_release_keys_first():
    found = updates(stack(summary(1, stableImage=A), summary(2, stableImage=B, memoryLimit="1Gi", canaryReplicas="1")))
    assert found[0].changes == [
        Change("stableImage", A, B),
        Change("canaryReplicas", "0", "1"),
        Change("memoryLimit", "256Mi", "1Gi"),
    ]


def test_the_first_updates_changes_ignore_json_formatting():
    found = updates(stack(summary(1, stableReplicas="2", migrateCommand='["addressbook","migrate"]')))
    assert found[0].changes == [Change("stableReplicas", "3", "2")]


def test_secrets_stay_out():
    found = updates(stack(summary(1, secret={"secretEnvironment": "hush"})))
    assert found[0].config["secretEnvironment"] == "[secret]"


def test_another_projects_keys_stay_out():
    assert updates(stack(summary(1)))[0].config["stableImage"] == ""


def test_a_release_is_a_period_with_one_image():
    found = releases(
        stack(
            summary(1, stableImage=A, message="first"),
            summary(2, stableImage=A, canaryImage=B, canaryReplicas="1"),
            summary(3, stableImage=B, message="promote"),
            summary(4, stableImage=A, message="rollback"),
        )
    )
    assert [(each.number, each.image, each.message) for each in found] == [
        (3, A, "rollback"),
        (2, B, "promote"),
        (1, A, "first"),
    ]
    assert found[-1].updates == (1, 2)
    assert found[0].digest == digest_of(A)


def test_a_release_succeeds_with_its_first_success():
    failed = [summary(1, stableImage=A), summary(2, stableImage=B, result="failed")]
    assert releases(stack(*failed))[0].result == "failed"
    assert releases(stack(*failed, summary(3, stableImage=B)))[0].result == "succeeded"


def test_pinning_the_image_is_no_new_release():
    built = summary(1, message="first", changes={"create": 24})
    pinned = summary(2, stableImage=A, changes={"same": 20, "create": 4, "update": 1})
    (found,) = releases(stack(built, pinned))
    assert (found.image, found.message, found.updates) == (A, "first", (1, 2))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"changes": {"replace": 1}}),  # stable's migration ran again: a different image
        ({"result": "failed"}, {}),
        ({}, {"result": "failed"}),
        ({}, {"migrateCommand": "[]", "changes": {"update": 1}}),  # no migration to tell by
    ],
)
def test_a_possibly_different_image_is_a_new_release(before: Any, after: Any):
    found = releases(stack(summary(1, **before), summary(2, stableImage=A, **after)))
    assert [each.image for each in found] == [A, ""]


def test_each_build_from_source_is_a_release():
    assert len(releases(stack(summary(1), summary(2)))) == 2


def test_a_destroy_ends_the_release():
    found = releases(stack(summary(1, stableImage=A), summary(2, kind="destroy"), summary(3, stableImage=A)))
    assert [each.updates for each in found] == [(3,), (1,)]


def test_refreshes_are_no_releases_and_no_changes():
    found = updates(stack(summary(1, stableImage=A), summary(2, kind="refresh"), summary(3, stableImage=A)))
    assert [each.changes for each in found[:2]] == [[], ()]
    assert len(releases_of(found)) == 1


def test_no_history_no_releases():
    assert releases(stack()) == []


def test_an_unreadable_backend_is_one_sentence():
    class Locked(RecordedStack):
        def history(self, *_: Any, **__: Any) -> list[Any]:
            raise automation.CommandError(automation.CommandResult("", "error: the passphrase is wrong\n", 1))

    with pytest.raises(CommandError, match="stack `dev`: cannot read its history: the passphrase is wrong"):
        updates(cast(Any, Locked()))


def test_differences_omit_keys_that_change_nothing():
    assert differences({"buildAhead": "false"}, {"buildAhead": "true"}) == []


def test_release_keys_are_in_the_order_of_the_schema():
    assert history.RELEASE_KEYS[:2] == ("stableImage", "stableReplicas")
    assert isinstance(updates(stack(summary(1)))[0], Update)


def test_other_settings_are_another_release():
    found = updates(
        stack(
            summary(1, stableImage=A, environment='{"LOG_LEVEL": "INFO"}'),
            summary(2, stableImage=A, environment='{"LOG_LEVEL":"INFO"}'),
            summary(3, stableImage=A, environment='{"LOG_LEVEL": "DEBUG"}'),
            summary(4, stableImage=A, environment='{"LOG_LEVEL": "DEBUG"}', secret=["secretEnvironment"]),
        )
    )
    assert [(release.number, release.updates) for release in releases_of(found)] == [(3, (4,)), (2, (3,)), (1, (1, 2))]


def test_the_update_of_a_release_is_the_last_that_succeeded():
    found = updates(
        stack(
            summary(1, stableImage=A, memoryLimit="128Mi"),
            summary(2, stableImage=A, memoryLimit="256Mi"),
            summary(3, stableImage=A, memoryLimit="512Mi", result="failed"),
            summary(4, stableImage=B, memoryLimit="1Gi"),
        )
    )

    def memory(number: str) -> str:
        update = history.update_of_release(A, number, found)
        return update.config["memoryLimit"] if update else ""

    assert (memory(A), memory("1"), memory("2"), memory("3")) == ("256Mi", "128Mi", "256Mi", "")
    assert history.update_of_release(C, C, found) is None


def test_changes_name_the_variables_and_hide_secrets():
    def secret(text: str) -> str:
        return f'{{"TOKEN": {{"secure": "{text}"}}, "OTHER": {{"secure": "v1:o"}}}}'

    assert history.changes_text(
        [
            Change("environment", '{"A": "1", "B": "1"}', '{"A": "2", "B": "1", "C": "3"}'),
            Change("canarySettings", "{}", '{"environment": {"A": null}, "port": 8080}'),
            Change("secretEnvironment", secret("v1:a"), secret("v1:b")),
            Change("canarySecretEnvironment", "", '{"TOKEN": {"secure": "v1:c"}}'),
        ]
    ) == [
        "environment.A: 1 -> 2",
        "environment.C: (unset) -> 3",
        "canarySettings.environment.A: (unset) -> null",
        "canarySettings.port: (unset) -> 8080",
        "secretEnvironment.TOKEN: [secret] -> another secret",
        "canarySecretEnvironment.TOKEN: (unset) -> [secret]",
    ]
