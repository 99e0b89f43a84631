"""A plan as a comment on a pull request: the effect on the release first, the full diff last and folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from contract.image import digest_of
from promotion.preview.planned import OPERATIONS, Change, Plan, ReleaseState, TrackState
from promotion.state.verdict_record import VerdictRecord

#: Maximum length of the preview: GitHub's limit of a comment, 65,536 characters, less room for its other sections.
#: Counted here in bytes, which are never fewer.
BODY_LIMIT = 64_536
#: Bytes reserved for the note about omitted lines.
NOTE_BYTES = 400
DIGEST_LENGTH = 12  # the same as in `status`
#: Maximum rows of warnings and advice, and bytes of errors, so that the summary always fits the limit.
ROWS_LIMIT = 20
ROW_BYTES = 600
ERRORS_BYTES = 3_000
#: Maximum bytes of a revision: an image's label may hold any text.
REVISION_BYTES = 60
NOTHING = "none"


def mark(plan: Plan) -> str:
    """Return the hidden first line, by which the workflow finds its earlier comment."""
    return f"<!-- preview of {plan.project}/{plan.stack} -->"


def comment(plan: Plan, limit: int = BODY_LIMIT) -> str:
    """Return the comment in GitHub's Markdown, at most ``limit`` bytes; the summary is never shortened."""
    sections = [mark(plan), f"## Preview of stack {code(plan.stack)}", *_errors(plan)]
    if not plan.faults:
        sections += [_meaning(plan), _release(plan), *_warnings(plan)]
    sections += [*_advice(plan), *_digest(plan), *_page(plan)]
    body = _joined(sections)
    room = limit - NOTE_BYTES
    table, folded = _resources(plan), _diff(plan.diff)
    if _size(_joined([body, table, folded])) <= room:
        return _joined([body, table, folded])
    if _size(_joined([body, table])) <= room:
        return _joined([body, table, _diff_shortened(plan, room - _size(_joined([body, table, ""])))])
    return _joined([body, _table_shortened(plan, room - _size(_joined([body, ""])))])


def code(text: str) -> str:
    """Return the text as a code span that it cannot close, not even in a table (CommonMark 6.1, GFM 4.10)."""
    line = " ".join(text.split())
    fence = "`" * (_longest_run("`", line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|") if line else NOTHING


def fenced(text: str) -> str:
    """Return the text as a code block that it cannot close: the fence is longer than any in the text."""
    fence = "`" * max(3, _longest_run("`", text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _meaning(plan: Plan) -> str:
    """Say in a sentence what the update does to the release."""
    before, after = plan.before, plan.after
    if after is None:
        return "**The release is removed:** the program no longer declares it."
    if before is None:
        return "**First release** of this stack."
    old, new = before.tracks, after.tracks
    canary, stable = new.get("canary"), new["stable"]
    if "canary" in old and canary is None:
        same = stable.image == old["stable"].image
        if stable.image == old["canary"].image and (not same or _stable_restarts(plan)):
            what = f"image and settings ({_names(old['canary'])})" if old["canary"].settings else "image"
            return f"**Promotion:** stable gets the canary's {what}, and the canary is removed. {_judged(plan, stable)}"
        if same:
            return "**Rollback:** the canary is removed, and stable keeps its image and settings."
    if stable.image != old["stable"].image:
        if stable.image is None:
            return "**Stable is built from source:** it changes if the source has changed."
        return f"**Stable gets a new image** that has not been a canary. {_judged(plan, stable)}"
    if _stable_restarts(plan):
        return "⚠️ **Stable's pods restart with other settings** that have not been on trial."
    if canary and canary != old.get("canary"):
        settings = f" Its settings differ from stable's: {_names(canary)}." if canary.settings else ""
        return f"**Canary on trial:** {_percent(canary)} of the users.{settings}"
    if before.traffic != after.traffic:
        return f"**Traffic moves** to {code(after.traffic)}."
    if before != after:
        return "**The replicas change;** the images stay."
    return "No change to the release."


def _stable_restarts(plan: Plan) -> bool:
    """Return whether the specification of stable's pods changes."""
    return any(
        change.kind == "Deployment" and change.name.endswith("-stable") and path.startswith("spec.template.spec")
        for change in plan.changes
        for path in change.properties
    )


def _names(track: TrackState) -> str:
    return ", ".join(code(name) for name in track.settings)


def _judged(plan: Plan, stable: TrackState) -> str:
    verdict = VerdictRecord.parse(plan.verdict)
    if verdict and verdict.digest == digest_of(stable.image or ""):
        return f"Its verdict: {code(verdict.result)}, {verdict.time}."
    return "⚠️ This image has no verdict."


def _release(plan: Plan) -> str:
    """Return a table of each track's image, replicas and share, before and after."""
    before, after = plan.before, plan.after
    old: Mapping[str, TrackState] = before.tracks if before else {}
    new: Mapping[str, TrackState] = after.tracks if after else {}
    rows = ["| track | image | replicas | share of users |", "| --- | --- | --- | --- |"]
    for name in sorted({*old, *new}, reverse=True):  # stable first
        was, becomes = old.get(name), new.get(name)
        rows.append(
            f"| {name} | {_arrow(_image(was), _image(becomes))} | {_arrow(_replicas(was), _replicas(becomes))} "
            f"| {_arrow(_percent(was), _percent(becomes))} |"
        )
    return "\n".join([*rows, "", f"Traffic: {_arrow(_traffic(before), _traffic(after))}"])


def _arrow(was: str, becomes: str) -> str:
    return was if was == becomes else f"{was} → **{becomes}**"


def _image(track: TrackState | None) -> str:
    """Return the digest's first digits, and the source revision if it is known."""
    if track is None:
        return NOTHING
    digest = digest_of(track.image or "").removeprefix("sha256:")[:DIGEST_LENGTH]
    shown = code(digest) if digest else "built from source"
    return f"{shown} (revision {code(_revision(track.revision))})" if track.revision else shown


def _revision(revision: str) -> str:
    """Shorten a commit to DIGEST_LENGTH digits; keep a suffix such as ``-dirty``."""
    return _cut(re.sub(rf"^([0-9a-f]{{{DIGEST_LENGTH}}})[0-9a-f]*", r"\1", revision), REVISION_BYTES)


def _replicas(track: TrackState | None) -> str:
    return str(track.replicas) if track else "0"


def _percent(track: TrackState | None) -> str:
    return f"{track.share:g} %" if track else "0 %"


def _traffic(release: ReleaseState | None) -> str:
    return code(release.traffic) if release else NOTHING


def _errors(plan: Plan) -> list[str]:
    if not plan.faults:
        return []
    errors = _cut("\n\n".join(plan.faults), ERRORS_BYTES)
    return ["> [!CAUTION]\n> The preview failed. If this were merged, the update would change nothing.", fenced(errors)]


def _warnings(plan: Plan) -> list[str]:
    lines = _most([f"**{_loss(change)}**" for change in plan.losses])
    if plan.moves_release and plan.platform_changes:
        changed = ", ".join(dict.fromkeys(f"{change.kind} {change.name}" for change in plan.platform_changes))
        lines.append(
            f"This update gives users a new image and changes the platform ({code(_cut(changed, ROW_BYTES))}). On a"
            " cloud, `up` refuses that: change the platform in a pull request of its own."
        )
    if not lines:
        return []
    return ["\n".join(["> [!CAUTION]", *(f"> {line}" for line in lines)])]


def _loss(change: Change) -> str:
    verb = "DELETED" if change.operation == "delete" else "REPLACED, and the existing one deleted"
    return f"The {change.loses} {code(change.name)} ({code(change.kind)}) is {verb}."


def _advice(plan: Plan) -> list[str]:
    if not plan.advice:
        return []
    lines = _most([code(_cut(each, ROW_BYTES)) for each in plan.advice])
    return ["\n".join(["**Advice from the policies**", "", *(f"- {line}" for line in lines)])]


def _digest(plan: Plan) -> list[str]:
    if not plan.digest:
        return []
    return [f"Digest of the steps: {code(plan.digest)}. `up --expect` with it applies exactly what is shown here."]


def _page(plan: Plan) -> list[str]:
    if plan.faults:
        return []
    command = code(f"python -m promotion dashboard --stack {plan.stack}")
    return [f"Page of the release: {command}, or the artifact {code(f'release-{plan.stack}')} of the production run."]


def _resources(plan: Plan, most: int | None = None) -> str:
    """Return a table of the resources that change, the most dangerous changes first."""
    counted = ", ".join(f"{plan.count(operation)} to {operation}" for operation in OPERATIONS if plan.count(operation))
    title = f"### Resources: {counted or 'no change'}, {plan.unchanged} unchanged"
    if not plan.changes:
        return title
    rows = [_row(change) for change in plan.changes[:most]]
    return "\n".join([title, "", "| change | resource | type | properties |", "| --- | --- | --- | --- |", *rows])


def _row(change: Change) -> str:
    shown = ", ".join(code(path) for path in change.properties[:5])
    more = f" and {len(change.properties) - 5} more" if len(change.properties) > 5 else ""
    return f"| {change.operation} | {code(change.name)} | {code(change.type)} | {shown}{more} |"


def _diff(diff: str) -> str:
    if not diff.strip():
        return ""
    return _joined(["<details><summary>Full diff</summary>", fenced(diff), "</details>"])


def _diff_shortened(plan: Plan, room: int) -> str:
    """Return as much of the diff as fits, and how to see the rest."""
    lines = plan.diff.splitlines()
    shown = _fitting(lines, room - _size(_diff("x" + "`" * _longest_run("`", plan.diff))))
    left = len(lines) - len(shown)
    note = f"The last {left} of the diff's {len(lines)} lines do not fit here; {_see_all(plan)} shows them."
    return _joined([_diff("\n".join(shown)), note])


def _table_shortened(plan: Plan, room: int) -> str:
    shown = _fitting([_row(change) for change in plan.changes], room - _size(_resources(plan, most=0)))
    left = len(plan.changes) - len(shown)
    return _joined(
        [
            _resources(plan, most=len(shown)),
            f"{left} more resources and the diff do not fit here; {_see_all(plan)} shows them.",
        ]
    )


def _see_all(plan: Plan) -> str:
    return code(f"pulumi preview --diff --stack {plan.stack}")


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    """Return the first lines that fit into ``room`` bytes."""
    fitting: list[str] = []
    for line in lines:
        room -= _size(line) + 1
        if room < 0:
            break
        fitting.append(line)
    return fitting


def _most(rows: Sequence[str]) -> list[str]:
    more = len(rows) - ROWS_LIMIT
    return [*rows[:ROWS_LIMIT], *([f"and {more} more"] if more > 0 else [])]


def _cut(text: str, size: int) -> str:
    """Shorten the text to ``size`` bytes, and mark it if it was longer."""
    return text if _size(text) <= size else text.encode()[:size].decode(errors="ignore") + " …"


def _joined(sections: Iterable[str]) -> str:
    return "\n\n".join(section for section in sections if section)


def _size(text: str) -> int:
    return len(text.encode())


def _longest_run(character: str, text: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(character)}+", text)), default=0)
