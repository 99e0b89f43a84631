"""Create and destroy release stacks: stacks for a branch, a person or a pull request on another stack's platform."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from pulumi import automation

from contract.image import Image
from contract.project import PROJECT_ROOT
from promotion.errors import BUSY, DONE, FAILED, WRONG_USE, CommandError
from promotion.operations.events import prepare_event
from promotion.operations.options import ReleaseStackOptions, UnstackOptions
from promotion.operations.session import Console, Session, open_session
from promotion.operations.update import apply
from promotion.state.engine import (
    MissingStackError,
    UnfinishedStackError,
    error_lines,
    exported,
    name_beside,
    restore_file,
    workspace,
)
from promotion.state.history import last_config
from promotion.state.locks import checkout_lock
from promotion.state.release_stack_file import (
    ReleaseStackFile,
    check_name,
    check_same_place,
    check_temporary,
    expiry,
    has_expired,
    release_stack_file,
)
from promotion.state.stack_file import StackFile
from promotion.state.unfinished_stack import unfinished_config
from promotion.status.table import outputs_text


def create_release_stack(options: ReleaseStackOptions) -> int:
    """Create a release stack on another stack's platform, or update it; return the exit code. Raises CommandError."""
    name = options.stack
    check_name(name, may_exist=options.update)
    if options.image and not Image.parse(options.image):
        raise CommandError(f"--image {options.image}: write REPOSITORY@sha256:DIGEST (a tag can move)", WRONG_USE)
    expires = expiry(datetime.now(UTC) + timedelta(seconds=options.expires_in)) if options.expires_in else ""
    platform = StackFile.of(options.platform)
    file = release_stack_file(name, platform, options.image, expires)
    console = Console.of(options.output, options.yes)
    with checkout_lock(name, "promotion stack", options.wait, console.say), _file_kept_if_refused(name):
        check_name(name, may_exist=options.update)  # another command may have created it while this one waited
        exists = False
        if options.update:
            exists, present = _existing(file, console)
            file = release_stack_file(name, platform, options.image, expires, present)
        if not exists:
            _create_empty_stack(file, options.platform)
        session = _update(file, options, is_new=not exists)
        expires = session.file.values().get("expires", "")
        ends = f"It may be destroyed from {expires} on. " if expires else ""
        session.console.answer(
            f"\n{outputs_text(name, session.engine.outputs)}\n\n{ends}`python -m promotion unstack --name {name}`"
            f" destroys it; commit {session.file.path.name} if others work on the stack",
            {"outputs": session.engine.outputs, "expires": expires or None},
        )
    return DONE


def _existing(file: ReleaseStackFile, console: Console) -> tuple[bool, StackFile | None]:
    """Return whether the stack to update exists, and its file; None if its config is unknown. Raises CommandError."""
    try:
        existing = restore_file(file.name, console.say)
    except MissingStackError:
        return False, None
    except UnfinishedStackError:  # its first update was killed, and another one continues it
        return True, None
    check_temporary(file.name, existing)
    check_same_place(existing, file)
    return True, existing


def _update(file: ReleaseStackFile, options: ReleaseStackOptions, *, is_new: bool) -> Session:
    """Write the file and update the stack to it; return the session. Raises CommandError."""
    path = PROJECT_ROOT / f"Pulumi.{file.name}.yaml"
    if not path.is_file():
        path.write_text(file.text, encoding="utf-8")
    session = Session.of("stack", options)
    for key in file.omitted:
        session.console.say(
            f"{key} is not copied, because only stack `{options.platform}` can decrypt it. Set it with"
            f" `pulumi config set --secret --stack {file.name} {key}`."
        )
    try:
        if not is_new:
            session.file.write(file.text)
            session.engine.create_stack()  # the backend may have lost it
        apply(session, session.file.text(), f"on the platform of {file.platform}", platform="apply", preview=True)
    except CommandError as error:
        if is_new and error.code in (WRONG_USE, BUSY):  # nothing was changed
            session.engine.stack.workspace.remove_stack(session.engine.stack.name)
        raise
    return session


@contextmanager
def _file_kept_if_refused(name: str) -> Generator[None]:
    """Return the stack's file to its former text, or delete it if there was none, if a command is refused."""
    path = PROJECT_ROOT / f"Pulumi.{name.rpartition('/')[2]}.yaml"
    before = path.read_bytes() if path.is_file() else None
    try:
        yield
    except CommandError as error:
        if error.code in (WRONG_USE, BUSY):  # both codes promise that nothing was changed
            if before is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != before:
                path.write_bytes(before)
        raise


def _create_empty_stack(file: ReleaseStackFile, platform: str) -> None:
    """Write the stack file and create the stack; undo both if that fails. Raises CommandError."""
    path = PROJECT_ROOT / f"Pulumi.{file.name}.yaml"
    project = workspace(file.secrets_provider)
    full_name = name_beside(platform, file.name, project)
    try:
        if file.name in {each.name.rpartition("/")[2] for each in project.list_stacks()}:
            raise CommandError(
                f"--name {file.name}: this stack already exists, created from another checkout; choose another name, or"
                " add --update",
                WRONG_USE,
            )
        path.write_text(file.text, encoding="utf-8")
        automation.Stack.create(full_name, project)
    except automation.CommandError as error:
        path.unlink(missing_ok=True)
        raise CommandError(error_lines(error)) from None


class _RenewedError(CommandError):
    """The last update of an expired stack gave it more time."""


def destroy_release_stacks(options: UnstackOptions) -> int:
    """Destroy one release stack, or with ``--expired`` all that have expired; return the exit code.

    Raises CommandError.
    """
    if not options.expired:
        return _destroy(options)
    console = Console.of(options.output, options.yes)
    project = workspace()
    try:
        stacks = project.list_stacks()
    except automation.CommandError as error:
        raise CommandError(error_lines(error)) from None
    code, expired = DONE, 0
    with selection_kept(project, stacks):
        for name in (each.name for each in stacks):
            try:
                if _has_expired(name, project, console):
                    expired += 1
                    _destroy(replace(options, stack=name))
            except _RenewedError as error:
                console.say(str(error))
            except CommandError as error:
                console.say(f"error: {error}")
                code = FAILED
    if not expired and code == DONE:
        console.say("no release stack has expired")
    return code


@contextmanager
def selection_kept(project: automation.LocalWorkspace, stacks: Sequence[automation.StackSummary]) -> Generator[None]:
    """Select the user's stack again, because access to a stack selects it."""
    try:
        yield
    finally:
        for selected in (each.name for each in stacks if each.current):
            with suppress(automation.CommandError):  # it was destroyed
                project.select_stack(selected)


def _destroy(options: UnstackOptions) -> int:
    """Destroy a release stack with its file; the platform stays. Return the exit code. Raises CommandError."""
    console = Console.of(options.output, options.yes)
    with _file_kept_if_refused(options.stack):
        try:
            check_temporary(options.stack, restore_file(options.stack, console.say))
        except MissingStackError:
            console.say(f"stack `{options.stack}` does not exist: nothing to destroy")
            return DONE
        with open_session("unstack", options) as session:
            check_temporary(session.name, session.file)
            prepare_event(session)
            try:
                session.engine.down(partial(_refuse_renewed, session) if options.expired else lambda: None)
            except MissingStackError:  # its creation was interrupted
                session.console.say(f"stack `{session.name}` was never created; only its file exists")
            session.file.path.unlink()
            session.console.say(
                f"stack `{session.name}` and {session.file.path.name} are deleted; the platform is unchanged"
            )
    return DONE


def _refuse_renewed(session: Session) -> None:
    """Raise CommandError if the stack's last update, maybe of another checkout, gave it more time."""
    last = last_config(session.engine.stack)
    if last and not has_expired(last, datetime.now(UTC)):
        until = f" until {last['expires']}" if last.get("expires") else ""
        raise _RenewedError(f"stack `{session.name}` stays{until}, as its last update says", BUSY)


def _has_expired(name: str, project: automation.LocalWorkspace, console: Console) -> bool:
    """Return whether a stack in the backend has expired: by its file or, without one, by its last update's config.

    If no update has finished, use the annotations of its namespace. Say when a stack will expire, and if that is
    unknown. Raises CommandError if its file or history is unreadable.
    """
    unfinished = False
    if (PROJECT_ROOT / f"Pulumi.{name.rpartition('/')[2]}.yaml").is_file():
        config = StackFile.of(name).values()
    else:
        try:
            stack = automation.Stack.select(name, project)
        except automation.CommandError as error:
            raise CommandError(f"stack `{name}`: {error_lines(error)}") from None
        config = last_config(stack)
        if not config:  # its first update has not finished
            state = exported(stack)
            config = unfinished_config(state)
            unfinished = not config and bool(state.get("resources"))
    if has_expired(config, datetime.now(UTC)):
        return True
    if unfinished:
        console.say(
            f"stack `{name}` has resources but no finished update, so its end is unknown. If it is a release stack,"
            f" `python -m promotion stack --update --name {name}` continues its first update"
        )
    elif config.get("expires"):
        console.say(f"stack `{name}` stays until {config['expires']}")
    return False
