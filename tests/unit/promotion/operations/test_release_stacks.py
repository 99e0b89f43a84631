"""Which release stacks `unstack --expired` destroys, and what a refused command leaves behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi import automation

from promotion.errors import BUSY, DONE, FAILED, WRONG_USE, CommandError
from promotion.operations import release_stacks
from promotion.operations.options import ReleaseStackOptions, UnstackOptions
from promotion.operations.session import Console, Session
from promotion.state import engine
from promotion.state.engine import MissingStackError, UnfinishedStackError
from promotion.state.release_stack_file import ReleaseStackFile
from tests.unit.promotion.operations.fake_stack import Make

EXPIRED, LATER = "2020-01-01T00:00Z", "2999-01-01T00:00Z"
OPTIONS = UnstackOptions(stack="", expired=True)
LOCKED = "error: the stack is currently locked by 1 lock(s)"


def config(expires: str) -> dict[str, str]:
    return {"platformStack": "shop", "expires": expires}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The config of each stack's last update, or why it cannot be read; the user has selected the stack `mine`."""
    stacks: dict[str, Any] = {"mine": {}}
    selected = ["mine"]

    def last_config(stack: Any) -> dict[str, str]:
        if isinstance(stacks[stack.name], BaseException):
            raise stacks[stack.name]
        return stacks[stack.name]

    def select(name: str, *_: object) -> Any:
        selected.append(name)
        return SimpleNamespace(name=name)

    def listed() -> list[Any]:
        return [SimpleNamespace(name=name, current=name == selected[-1]) for name in stacks]

    def destroy(options: UnstackOptions) -> int:
        select(options.stack)
        stacks[options.stack] = "destroyed"
        return DONE

    project = SimpleNamespace(list_stacks=listed, select_stack=select)
    monkeypatch.setattr(release_stacks, "workspace", lambda: project)
    monkeypatch.setattr(release_stacks, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(release_stacks.automation.Stack, "select", select)
    monkeypatch.setattr(release_stacks, "last_config", last_config)
    killed = {"resources": [{"type": "pulumi:pulumi:Stack"}]}
    monkeypatch.setattr(release_stacks, "exported", lambda stack: killed if stack.name == "killed" else {})
    monkeypatch.setattr(release_stacks, "_destroy", destroy)
    return stacks


def test_one_unreadable_stack_does_not_keep_the_others(backend: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    backend |= {"broken": CommandError("cannot read its history"), "old": config(EXPIRED), "new": config(LATER)}
    assert release_stacks.destroy_release_stacks(OPTIONS) == FAILED
    assert backend["old"] == "destroyed"
    assert backend["new"] == config(LATER)
    assert capsys.readouterr().out.splitlines() == [
        "error: cannot read its history",
        f"stack `new` stays until {LATER}",
    ]


def test_the_users_stack_is_selected_again(backend: dict[str, Any]):
    backend |= {"old": config(EXPIRED), "broken": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        release_stacks.destroy_release_stacks(OPTIONS)
    assert [each.name for each in release_stacks.workspace().list_stacks() if each.current] == ["mine"]


def test_a_killed_first_update_is_one_line(backend: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    backend |= {"killed": {}, "empty": {}}
    assert release_stacks.destroy_release_stacks(OPTIONS) == DONE
    line, last = capsys.readouterr().out.splitlines()
    assert line.startswith("stack `killed` has resources but no finished update, so its end is unknown")
    assert last == "no release stack has expired"


@pytest.mark.parametrize(
    ("last", "stays"), [(config(EXPIRED), False), (config(LATER), True), (config(""), True), ({}, False)]
)
def test_a_renewed_stack_is_not_destroyed(
    make: Make, monkeypatch: pytest.MonkeyPatch, last: dict[str, str], stays: bool
):
    """Another command may renew it while this one waits for its lock."""
    destroyed: list[bool] = []
    answers = iter([config(EXPIRED), last])  # before and after the wait

    def destroy(**_: object) -> None:
        if not destroyed:
            destroyed.append(False)
            raise automation.ConcurrentUpdateError(cast(Any, SimpleNamespace(code=1, stdout=LOCKED, stderr="")))
        destroyed.append(True)

    session, _ = make("unstack", {})
    workspace = SimpleNamespace(remove_stack=lambda *_args, **_options: None)
    stack = SimpleNamespace(name="dev", destroy=destroy, workspace=workspace)
    session.engine._stack = cast(Any, stack)
    monkeypatch.setattr(release_stacks, "last_config", lambda _: next(answers))
    monkeypatch.setattr(engine, "resolve_pending", lambda _: False)
    monkeypatch.setattr(engine, "_pass_locks", lambda *_: None)

    def run() -> None:
        session.engine.down(lambda: release_stacks._refuse_renewed(session))

    if stays:
        with pytest.raises(CommandError, match="stack `dev` stays") as error:
            run()
        assert error.value.code == BUSY
    else:
        run()
    assert destroyed == ([False] if stays else [False, True])


@pytest.mark.parametrize("before", [None, "config: {}\r\n"])
@pytest.mark.parametrize(("code", "changes"), [(WRONG_USE, False), (BUSY, False), (FAILED, True)])
def test_a_refusal_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, code: int, changes: bool
):
    monkeypatch.setattr(release_stacks, "PROJECT_ROOT", tmp_path)
    path = tmp_path / "Pulumi.pr-1.yaml"
    if before is not None:
        path.write_bytes(before.encode())
    with pytest.raises(CommandError), release_stacks._file_kept_if_refused("acme/pr-1"):
        path.write_text("restored")
        raise CommandError("refused", code)
    after = path.read_bytes().decode() if path.is_file() else None
    assert after == ("restored" if changes else before)


@pytest.mark.parametrize(("error", "exists"), [(MissingStackError("gone"), False), (UnfinishedStackError("?"), True)])
def test_a_killed_first_update_is_continued(monkeypatch: pytest.MonkeyPatch, error: CommandError, exists: bool):
    def restore_file(*_: object) -> None:
        raise error

    monkeypatch.setattr(release_stacks, "restore_file", restore_file)
    file = ReleaseStackFile("pr-1", "shop", "shop-pr-1", "config: {}\n", None, ())
    assert release_stacks._existing(file, Console()) == (exists, None)


def test_a_missing_secret_says_how_to_set_it(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    session, _ = make("stack", {})
    monkeypatch.setattr(release_stacks, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    monkeypatch.setattr(release_stacks, "apply", lambda *_args, **_options: True)
    file = ReleaseStackFile("pr-1", "shop", "shop-pr-1", "config: {}\n", None, ("addressbook:secretEnvironment",))
    release_stacks._update(file, ReleaseStackOptions(stack="pr-1", platform="shop"), is_new=True)
    assert cast(Any, session.console.out).getvalue() == (
        "addressbook:secretEnvironment is not copied, because only stack `shop` can decrypt it. Set it with"
        " `pulumi config set --secret --stack pr-1 addressbook:secretEnvironment`.\n"
    )
