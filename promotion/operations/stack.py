"""Update a stack to its config, and destroy its resources."""

from __future__ import annotations

from collections.abc import Sequence

from contract.image import digest_of
from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.events import prepare_event
from promotion.operations.options import ChangeOptions, UpOptions
from promotion.operations.session import Session, open_session, release_settings
from promotion.operations.stale import refuse_older_commit
from promotion.operations.update import apply
from promotion.preview.reviewed import ReviewedPreview
from promotion.state.engine import MissingStackError
from promotion.state.release_stack_file import is_protected
from promotion.state.stack_file import Edits
from promotion.state.verdict_record import verdict_against
from promotion.status.table import next_commands, outputs_text


def up(options: UpOptions) -> int:
    """Update a stack to its config, and create it first if necessary; return the exit code. Raises CommandError."""
    edits = _edits_of(options.set)
    reviewed = ReviewedPreview.of(options.expect, options.stack) if options.expect is not None else None
    with open_session("up", options) as session:
        _confirm(session, f"updates it; `python -m promotion preview --stack {session.name}` shows what changes")
        if not reviewed:  # a stack that does not exist has no preview
            session.engine.create_stack()
        text = session.file.edited(edits)
        refuse_older_commit(session, text)
        _refuse_rejected_canary(session, text)
        what = f"reviewed as {reviewed.digest}" if reviewed else ""
        apply(session, text, what, platform="apply", preview=True, reviewed=reviewed)
        _pin_first_build(session)
        outputs = session.engine.outputs
        session.console.answer(
            f"\n{outputs_text(session.name, outputs)}\n\n{next_commands(session.name, outputs)}", {"outputs": outputs}
        )
    return DONE


def _refuse_rejected_canary(session: Session, text: str) -> None:
    """Raise CommandError if the update would restart a rejected canary, even if the file has lost the rejection."""
    try:
        release = release_settings(session.file, text)
    except CommandError:
        return  # the preview reports all errors at once
    digest = digest_of(release.canary_image) if release.has_canary else ""
    if not digest or session.options.force:
        return
    verdict = verdict_against(digest, session.verdicts(), session.trial)
    if verdict is None:
        return
    running = session.state().tracks.get("canary")
    if running is None or running.digest != digest:
        raise CommandError(
            f"{session.file.path.name} names the canary {digest}, which {verdict.sentence}: remove it with `python -m"
            f" promotion rollback --stack {session.name}`, or use --force",
            WRONG_USE,
        )


def _confirm(session: Session, what: str) -> None:
    """Ask at a terminal before changing a stack that is protected from deletion. Raises CommandError."""
    if session.console.can_ask and is_protected(session.file.values()):
        session.console.say(f"stack `{session.name}` is protected from deletion, and `{session.command}` {what}")
        session.console.confirm()


def _edits_of(pairs: Sequence[str]) -> Edits:
    edits: dict[str, str | None] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not (key and separator and value):
            raise CommandError(
                f"--set {pair}: write KEY=VALUE, such as --set canaryReplicas=1. To unset a key, delete its line in the"
                " stack file",
                WRONG_USE,
            )
        edits[key] = value
    return edits


def _pin_first_build(session: Session) -> None:
    """If only the first update may build from source, pin stable to the image that it built."""
    if session.release.build_from_source == "first" and not session.release.stable_image:
        image = str(session.engine.outputs["tracks"]["stable"]["image"])
        session.file.write(session.file.edited({"stableImage": image}))
        session.console.say(f"{session.file.path.name}: stableImage is pinned to the new image; commit the file")


def down(options: ChangeOptions) -> int:
    """Destroy a stack's resources and keep its file; return the exit code. Raises CommandError."""
    with open_session("down", options) as session:
        _confirm(session, "destroys its resources; the cloud refuses to delete protected ones")
        prepare_event(session)
        try:
            session.engine.down()
        except MissingStackError:
            session.console.say(f"stack `{session.name}` does not exist: nothing to destroy{_unpin_images(session)}")
            return DONE
        session.console.say(
            f"stack `{session.name}` is destroyed; {session.file.path.name} stays{_unpin_images(session)}"
        )
    return DONE


def _unpin_images(session: Session) -> str:
    """Unpin images built from source, since their registry may be gone; return the end of the closing message."""
    release = session.release
    edits = {**config_edits.remove_canary(release), "stableImage": None, "canaryVerdict": None}
    text = session.file.edited(edits)
    if release.build_from_source != "always" or text == session.file.text():
        return ""
    session.file.write(text)
    return "; its images are unpinned in the file, so that the next `up` builds from source again"
