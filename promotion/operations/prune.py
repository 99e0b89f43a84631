"""Delete images from the stack's registry that no stack needs any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from contract.image import repository_of, short
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations.options import PruneOptions
from promotion.operations.session import Session, open_session
from promotion.state import engine
from promotion.state.named_images import named_digests
from promotion.state.stored_images import StoredImage, delete, stored_images


def prune(options: PruneOptions) -> int:
    """List the images that no stack names, ask, and delete them; return the exit code. Raises CommandError.

    Without a terminal it only lists, unless ``--yes`` is given.
    """
    with open_session("prune", options) as session:
        repository = _repository(session)
        stored = stored_images(repository)
        stack = session.engine.stack
        try:
            named = named_digests(stack.workspace)
        finally:
            stack.workspace.select_stack(stack.name)  # reading the others has selected them
        unused = unused_images(stored, named)
        session.console.say(_listed(repository, unused, len(stored)))
        deleted = bool(unused) and _may_delete(session)
        if deleted:
            session.changed = True
            delete(repository, unused)
        document = {
            "stack": session.name,
            "command": session.command,
            "repository": repository,
            "unused": [{"digest": each.digest, "tags": [*each.tags]} for each in unused],
            "kept": len(stored) - len(unused),
            "deleted": deleted,
        }
        session.console.answer(_result(unused, deleted), document)
    return DONE


def unused_images(stored: Sequence[StoredImage], named: Collection[str]) -> list[StoredImage]:
    """Return the program's own images that no stack names, and what is attached to them."""
    unused = [each for each in stored if each.is_own and each.digest not in named]
    gone = {each.digest for each in unused}
    return [*unused, *(each for each in stored if each.subject in gone)]


def _repository(session: Session) -> str:
    """Return the repository that the stack's tracks run from. Raises CommandError if nothing runs."""
    tracks: dict[str, Any] = engine.outputs(session.engine.stack).get("tracks") or {}
    if "stable" not in tracks:
        raise CommandError(
            f"stack `{session.name}` runs no release, so its repository is unknown: `python -m promotion up --stack"
            f" {session.name}` releases one",
            WRONG_USE,
        )
    return repository_of(str(tracks["stable"]["image"]))


def _may_delete(session: Session) -> bool:
    """Ask at a terminal; without one, only ``--yes`` allows it. Raises CommandError if the answer is no."""
    session.console.confirm()
    return session.console.yes


def _listed(repository: str, unused: Sequence[StoredImage], total: int) -> str:
    if not unused:
        return f"{repository}: no unused images among {total}"
    lines = [f"  {short(each.digest)}  {', '.join(each.tags)}" for each in unused]
    return "\n".join([f"{repository}: {len(unused)} of {total} images are named by no stack:", *lines])


def _result(unused: Sequence[StoredImage], deleted: bool) -> str:
    if deleted:
        return f"{len(unused)} images deleted"
    return "nothing to delete" if not unused else "nothing was deleted; --yes deletes them"
