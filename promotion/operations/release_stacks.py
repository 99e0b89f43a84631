"""Create and destroy release stacks: stacks for a branch, a person or a pull request on another stack's platform."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pulumi import automation

from contract.image import Image
from contract.project import PROJECT_ROOT
from promotion.errors import BUSY, DONE, FAILED, WRONG_USE, CommandError
from promotion.operations.events import prepare_event
from promotion.operations.options import ReleaseStackOptions, UnstackOptions
from promotion.operations.session import Console, Session, open_session
from promotion.operations.update import apply
from promotion.state.engine import MissingStackError, error_lines, name_beside, restore_file, workspace
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
from promotion.status.table import outputs_text


def create_release_stack(options: ReleaseStackOptions) -> int:
    """Create a release stack on another stack's platform, or update it; return the exit code. Raises CommandError."""
    name = options.stack
    check_name(name, may_exist=options.update)
    if options.image and not Image.parse(options.image):
        raise CommandError(f"--image {options.image}: write REPOSITORY@sha256:DIGEST (a tag can move)", WRONG_USE)
    expires = expiry(datetime.now(UTC) + timedelta(seconds=options.expires_in)) if options.expires_in else ""
    file = release_stack_file(name, StackFile.of(options.platform), options.image, expires)
    console = Console.of(options.output, options.yes)
    with checkout_lock(name, "promotion stack", options.wait, console.say):
        check_name(name, may_exist=options.update)  # another command may have created it while this one waited
        before = _existing(file, console) if options.update else None
        if before is None:
            _create_empty_stack(file, options.platform)
        session = Session.of("stack", options)
        for key in file.omitted:
            session.console.say(
                f"{key} is omitted, since only stack `{options.platform}` can decrypt it: use `pulumi config set`"
            )
        try:
            if before is not None:
                session.file.write(file.text)
                session.engine.create_stack()  # the backend may have lost it
            apply(session, session.file.text(), f"on the platform of {file.platform}", platform="apply", preview=True)
        except CommandError as error:
            if error.code in (WRONG_USE, BUSY):  # nothing was changed
                _undo(session, before)
            raise
        ends = f"It may be destroyed from {expires} on. " if expires else ""
        session.console.answer(
            f"\n{outputs_text(name, session.engine.outputs)}\n\n{ends}`python -m promotion unstack --name {name}`"
            f" destroys it; commit {session.file.path.name} if others work on the stack",
            {"outputs": session.engine.outputs, "expires": expires or None},
        )
    return DONE


def _existing(file: ReleaseStackFile, console: Console) -> str | None:
    """Return the text of the file of the stack to update; None if there is no such stack. Raises CommandError."""
    try:
        existing = restore_file(file.name, console.say)
    except MissingStackError:
        return None
    check_temporary(file.name, existing)
    check_same_place(existing, file)
    return existing.text()


def _undo(session: Session, before: str | None) -> None:
    """Put back the file of a stack that was not updated, or remove the empty new stack."""
    if before is not None:
        session.file.write(before)
        return
    session.engine.stack.workspace.remove_stack(session.engine.stack.name)
    session.file.path.unlink(missing_ok=True)


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


def destroy_release_stacks(options: UnstackOptions) -> int:
    """Destroy one release stack, or with ``--expired`` all that have expired; return the exit code.

    Raises CommandError.
    """
    if not options.expired:
        return _destroy(options)
    console = Console.of(options.output, options.yes)
    code = DONE
    for name in _expired(datetime.now(UTC), console):
        try:
            _destroy(replace(options, stack=name))
        except CommandError as error:
            console.say(f"error: {error}")
            code = FAILED
    return code


def _destroy(options: UnstackOptions) -> int:
    """Destroy a release stack with its file; the platform stays. Return the exit code. Raises CommandError."""
    console = Console.of(options.output, options.yes)
    try:
        check_temporary(options.stack, restore_file(options.stack, console.say))
    except MissingStackError:
        console.say(f"stack `{options.stack}` does not exist: nothing to destroy")
        return DONE
    with open_session("unstack", options) as session:
        check_temporary(session.name, session.file)
        prepare_event(session)
        try:
            session.engine.down()
        except MissingStackError:  # its creation was interrupted
            session.console.say(f"stack `{session.name}` was never created; only its file exists")
        session.file.path.unlink()
        session.console.say(
            f"stack `{session.name}` and {session.file.path.name} are deleted; the platform is unchanged"
        )
    return DONE


def _expired(now: datetime, console: Console) -> list[str]:
    """Return the expired stacks in the backend. The stack file decides, or the last update's config without one.

    Raises CommandError if the backend or a stack file is unreadable.
    """
    project = workspace()
    try:
        stacks = [automation.Stack.select(each.name, project) for each in project.list_stacks()]
    except automation.CommandError as error:
        raise CommandError(error_lines(error)) from None
    expired: list[str] = []
    for stack in stacks:
        path = PROJECT_ROOT / f"Pulumi.{stack.name.rpartition('/')[2]}.yaml"
        config = StackFile.of(stack.name).values() if path.is_file() else last_config(stack)
        if has_expired(config, now):
            expired.append(stack.name)
        elif config.get("expires"):
            console.say(f"stack `{stack.name}` stays until {config['expires']}")
    if not expired:
        console.say("no release stack has expired")
    return expired
