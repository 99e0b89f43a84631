"""Change a stack: edit its file, show the edit, run the engine, and restore the file if nothing was applied."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Set
from pathlib import Path

from components.migration_name import migration_name
from components.shares import traffic_shares
from contract.image import digest_of
from contract.settings import ReleaseSettings
from promotion.errors import BUSY, WRONG_USE, CommandError
from promotion.operations import config_edits
from promotion.operations.config_edits import Move
from promotion.operations.gateway_class import require_features
from promotion.operations.options import Track
from promotion.operations.platform_changes import (
    PlatformChanges,
    keeps_platform,
    refuse_platform_changes,
    up_without_platform,
)
from promotion.operations.session import Session, release_settings
from promotion.operations.stale import refuse_stale
from promotion.preview.planned import UPGRADES_NOTHING, Plan, plan
from promotion.preview.reviewed import ReviewedPreview
from promotion.state import checkout, engine, git
from promotion.state.stack_file import Edits, difference

#: Seconds after which an unavailable stable is checked again, because a pod may be unready for a moment.
SETTLE_SECONDS = 3.0


def propose(session: Session, move: Move, announced: Set[str] = frozenset()) -> str:
    """Show what the move changes, ask whether to continue, and return the new text of the stack file.

    ``announced`` are keys that the user edited for this move. Raises CommandError if the config would be invalid,
    the file is stale, or the answer is no.
    """
    file, present = session.file, session.release
    before, after = file.text(), file.edited(move(present, session.config))
    release = release_settings(file, after)
    refuse_stale(session, move, announced=announced)
    raised = present.stable_replicas_after_trial and present.stable_replicas > present.stable_replicas_after_trial
    if raised and not release.stable_replicas_after_trial:
        session.console.say(
            f"stableReplicas was raised to {present.stable_replicas} during the trial; keeping it instead"
            f" of returning to {present.stable_replicas_after_trial}"
        )
    changes = difference(before, after)
    session.console.say("\n".join([f"{file.path.name}:", *changes]) if changes else f"{file.path.name}: unchanged")
    what = "requests" if release.has_weights else "new connections"
    session.console.say(f"share of {what}: {shares_text(release)}")
    session.console.confirm()
    return after


def apply(
    session: Session,
    text: str,
    message: str,
    *,
    platform: PlatformChanges = "refuse",
    preview: bool = False,
    reviewed: ReviewedPreview | None = None,
) -> bool:
    """Write the stack file and update the stack to it; return False with ``--only-config``.

    With ``preview``, the policies check the whole change before anything is applied. Without it, the engine checks each
    resource only just before changing it. With ``reviewed``, the update must do exactly what that preview showed.
    Restore the file if nothing was applied, because the config is invalid, the update is refused or the stack is
    locked. Raises CommandError.
    """
    file = session.file
    before = file.text()
    message = session.history_message(message)
    if text != before:
        file.write(text)
    if session.options.only_config:
        session.changed = True
        commit(session, message)
        session.console.say(f"{file.path.name} is edited; apply it with `pulumi up` or a merge")
        return False
    is_applying = False
    session.engine.former_stable = _former_stable(session) if platform == "leave" else ""
    try:
        if platform != "leave":
            require_features(session)
        keeps = keeps_platform(session)
        if reviewed:
            _up_as_reviewed(session, message, reviewed)
        else:
            looks = keeps and platform != "leave"
            if preview or looks:
                refuse_platform_changes(session, _preview(session, refresh=looks), platform)
            is_applying = True
            if keeps and platform == "leave":
                up_without_platform(session, message)
            else:
                session.engine.up(message)
    except CommandError as error:
        if (is_applying or reviewed) and error.code not in (WRONG_USE, BUSY):
            session.changed = True
        elif file.text() == text:
            file.write(before)
        raise
    session.changed = True
    session.forget_updates()
    commit(session, message)
    return True


def _former_stable(session: Session) -> str:
    """Return the digest of the file's stable image if stable ran it before; "" if not, or if no signature is needed."""
    release = session.release
    if not (release.image_verification and release.stable_image):
        return ""
    session.tolerate_unreadable_history()
    digest = digest_of(release.stable_image)
    former = (update.config.get("stableImage", "") for update in session.updates() if update.is_applied)
    return digest if digest in map(digest_of, former) else ""


def _preview(session: Session, *, refresh: bool, save: Path | None = None, config_file: Path | None = None) -> Plan:
    """Preview the update, and ``save`` the engine's plan. ``config_file`` replaces the stack file.

    ``refresh``: look at what exists, too. Policies judge the program's own values, which need no refresh; a provider's
    own changes appear only after one. Raises CommandError if the update could not start, or a policy forbids it.
    """
    planned = plan(
        session.engine.stack,
        refresh=refresh,
        save=save,
        config_file=config_file,
        with_platform=session.options.with_platform,
    )
    for error in planned.faults:
        print(f"error: {error}", file=sys.stderr, flush=True)
    if planned.faults:
        raise CommandError(f"stack `{session.name}`: refused, nothing was changed; see the errors above", WRONG_USE)
    session.engine.leaves_platform = planned.goes_back  # the update must ask for what the preview asked for
    if planned.goes_back:
        session.console.say(UPGRADES_NOTHING)
    return planned


def _up_as_reviewed(session: Session, message: str, reviewed: ReviewedPreview) -> None:
    """Update the stack if the update does what was reviewed; the engine holds it to that. Raises CommandError."""
    # The plan contains the stack's config: the folder is private, and is deleted with it.
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "plan.json"
        planned = _preview(session, refresh=True, save=saved)
        refuse_platform_changes(session, planned, "apply")
        difference = reviewed.difference(planned)
        if difference and _is_rest_of(session, reviewed, planned):
            session.console.say("the reviewed update was interrupted: doing the rest of its steps")
        elif difference:
            print(difference, file=sys.stderr, flush=True)
            raise CommandError(
                f"stack `{session.name}`: refused, nothing was changed; the update would not do what was reviewed (see"
                " above). Preview it again and have the new preview reviewed",
                WRONG_USE,
            )
        session.engine.up(message, plan=saved)


def _is_rest_of(session: Session, reviewed: ReviewedPreview, planned: Plan) -> bool:
    """Return whether the last update began with the reviewed steps, and ``planned`` is what it left undone.

    It must be the same commit without other edits: otherwise a step may be missing because it is no longer wanted.
    """
    last = next(iter(session.updates()), None)
    if last is None or last.is_applied or last.edited or reviewed.digest not in last.message:
        return False
    return reviewed.contains(planned) and checkout.is_clean_at(session.file, last.commit)


def commit(session: Session, message: str) -> None:
    """Commit the stack file alone, if ``--commit`` asks for it and the file has changed.

    Report a failure, such as a hook's, and go on. `Session.exit_code` is then FAILED.
    """
    if not session.options.commit:
        return
    name, text = session.file.path.name, f"{session.name}: {message}"
    try:
        if git.commit_file(session.file, text):
            session.console.say(f"committed {name}")
    except CommandError as error:
        session.commit_failed = True
        retry = shlex.join(["git", "commit", "--message", text, "--", name])
        print(f"error: {error}\nOnly the commit is missing, all else is done: `{retry}`", file=sys.stderr, flush=True)


def build_image(session: Session, stable_image: str) -> str:
    """Build and push the image of the build context without changing the tracks; return its reference.

    Raises CommandError if the update failed, or would change the platform.
    """
    edits: Edits = {
        "buildAhead": "true",
        **({"stableImage": stable_image} if stable_image else {}),
        **({} if session.release.has_canary else config_edits.without_canary_settings()),
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / session.file.path.name
        config.write_text(session.file.edited(edits), encoding="utf-8")
        if keeps_platform(session):
            refuse_platform_changes(session, _preview(session, refresh=True, config_file=config), "refuse")
        session.engine.up(f"{session.command}: build", refresh=False, config_file=config)
    image = session.engine.outputs.get("sourceImage")
    if not isinstance(image, str):
        raise CommandError(f"stack `{session.name}` built an image, but its output sourceImage is {image}")
    return image


def discard_build(session: Session, why: str) -> None:
    """Remove an unused build from the stack's state; the registry keeps the image.

    Otherwise the next preview would show its removal as a change.
    """
    session.engine.up(session.history_message(why), refresh=False)


def track_failed(session: Session, track: Track) -> bool:
    """Return whether the last update failed on a resource of the track, or on its image's migration."""
    release = session.release
    image = release.canary_image if track == "canary" else release.stable_image
    names = (f"-{track}", migration_name("", image))
    return any(":release:Release$" in urn and urn.endswith(names) for urn in session.engine.failed)


def leave_failing_stable(session: Session) -> bool:
    """Keep the next updates from changing a failing stable or waiting for it; return whether it is failing.

    The canary may contain the fix, and an unhealthy canary must be removed in any case.
    """
    if not _stable_is_failing(session):
        return False
    urns = session.state().urns
    session.engine.excluded = [urns["stable"]] if "stable" in urns else []
    if "canary" in urns:  # stable waited for it, and the engine would keep it for a stable that is left alone
        run = session.engine
        engine.forget_dependencies(run.stack, urns["canary"], wait_seconds=run.wait_seconds, say=session.console.say)
    session.console.say(
        "stable's pods are not all available: this update leaves stable as it is and does not wait for it. Once they"
        f" are, `python -m promotion up --stack {session.name}` gives stable the pods that the file declares"
    )
    return True


def _stable_is_failing(session: Session) -> bool:
    """Return whether stable has been incomplete for some seconds; False if the cluster does not answer."""
    for pause in (0.0, SETTLE_SECONDS):
        time.sleep(pause)
        try:
            deployment = session.cluster().deployment("stable")
        except CommandError:
            return False  # the update reports it
        if deployment is None or (deployment.is_available and not deployment.past_deadline):
            return False
    return True


def shares_text(release: ReleaseSettings) -> str:
    """Return text such as ``stable 66.7 % (2 pods), canary 33.3 % (1 pod)``."""
    return ", ".join(
        f"{track} {share.percent:g} % ({share.replicas} {'pod' if share.replicas == 1 else 'pods'})"
        for track, share in traffic_shares(release).items()
    )
