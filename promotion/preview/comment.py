"""A plan as the comment under a pull request: what it means for the release first, the full diff last and folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from promotion.preview.planned import OPERATIONS, Change, Plan, ReleaseState, TrackState
from promotion.state.verdict_record import VerdictRecord

#: Longest body that GitHub takes, in characters; counted here in bytes, of which there are never fewer.
BODY_LIMIT = 65_536
#: Kept free for the note that says what was left out.
NOTE_BYTES = 400
DIGEST_LENGTH = 12  # as the tags and `status` show it
#: Rows of warnings and advice, and bytes of faults, that are shown: the summary itself never outgrows the limit.
ROWS_LIMIT = 20
ROW_BYTES = 600
FAULTS_BYTES = 3_000
#: Of a revision that is shown: an image's label may hold any text.
REVISION_BYTES = 60
NOTHING = "none"


def mark(plan: Plan) -> str:
    """First line of the comment, not shown, by which the workflow finds it again."""
    return f"<!-- preview of {plan.project}/{plan.stack} -->"


def comment(plan: Plan, limit: int = BODY_LIMIT) -> str:
    """The whole comment in GitHub's Markdown, of at most ``limit`` bytes; the summary is always whole."""
    sections = [mark(plan), f"## Preview of stack {code(plan.stack)}", *_faults(plan)]
    if not plan.faults:
        sections += [_meaning(plan), _release(plan), *_warnings(plan)]
    sections += _advice(plan)
    body = _joined(sections)
    room = limit - NOTE_BYTES
    table, folded = _resources(plan), _diff(plan.diff)
    if _size(_joined([body, table, folded])) <= room:
        return _joined([body, table, folded])
    if _size(_joined([body, table])) <= room:
        return _joined([body, table, _diff_shortened(plan, room - _size(_joined([body, table, ""])))])
    return _joined([body, _table_shortened(plan, room - _size(_joined([body, ""])))])


def code(text: str) -> str:
    """A code span from which the text can't break out, in a table's cell either (CommonMark 6.1, GFM 4.10)."""
    line = " ".join(text.split())
    fence = "`" * (_longest_run("`", line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|") if line else NOTHING


def fenced(text: str) -> str:
    """A code block from which the text can't break out: its fence is longer than any in the text."""
    fence = "`" * max(3, _longest_run("`", text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _meaning(plan: Plan) -> str:
    """What the update does to the release, in a sentence."""
    before, after = plan.before, plan.after
    if after is None:
        return "**The release goes:** nothing of it is declared any more."
    if before is None:
        return "**First release** of this stack."
    old, new = before.tracks, after.tracks
    canary, stable = new.get("canary"), new["stable"]
    if "canary" in old and canary is None:
        if stable.image == old["canary"].image:
            return f"**Promotion:** stable takes the canary's image; the canary goes. {_judged(plan, stable)}"
        if stable.image == old["stable"].image:
            return "**Rollback:** the canary goes; stable keeps its image."
    if stable.image != old["stable"].image:
        if stable.image is None:
            return "**Stable is built from source**, and changes where the source has changed."
        return f"**Stable changes its image** without taking it from a canary. {_judged(plan, stable)}"
    if canary and canary != old.get("canary"):
        return f"**Canary on trial:** {_percent(canary)} of the users' connections."
    if before.traffic != after.traffic:
        return f"**Traffic moves** to {code(after.traffic)}."
    if before != after:
        return "**Replicas change;** the images stay."
    return "No change to the release."


def _judged(plan: Plan, stable: TrackState) -> str:
    said = VerdictRecord.parse(plan.verdict)
    if said and stable.image and stable.image.endswith(said.digest):
        return f"Its verdict: {code(said.result)}, {said.time}."
    return "⚠️ There is no verdict on that image."


def _release(plan: Plan) -> str:
    """Each track's image, replicas and share, from and to."""
    before, after = plan.before, plan.after
    old: Mapping[str, TrackState] = before.tracks if before else {}
    new: Mapping[str, TrackState] = after.tracks if after else {}
    rows = ["| track | image | replicas | share of users |", "| --- | --- | --- | --- |"]
    for name in sorted({*old, *new}, reverse=True):  # stable first
        was, will = old.get(name), new.get(name)
        rows.append(
            f"| {name} | {_arrow(_image(was), _image(will))} | {_arrow(_replicas(was), _replicas(will))} "
            f"| {_arrow(_percent(was), _percent(will))} |"
        )
    return "\n".join([*rows, "", f"Traffic: {_arrow(_traffic(before), _traffic(after))}"])


def _arrow(was: str, will: str) -> str:
    return was if was == will else f"{was} → **{will}**"


def _image(track: TrackState | None) -> str:
    """The image's first digits, and the revision that it was built from where that is known."""
    if track is None:
        return NOTHING
    digest = (track.image or "").rpartition("sha256:")[2][:DIGEST_LENGTH]
    shown = code(digest) if digest else "built from source"
    return f"{shown} (revision {code(_revision(track.revision))})" if track.revision else shown


def _revision(revision: str) -> str:
    """As many digits of a commit as of a digest, and what is behind them, such as ``-dirty``."""
    return _cut(re.sub(rf"^([0-9a-f]{{{DIGEST_LENGTH}}})[0-9a-f]*", r"\1", revision), REVISION_BYTES)


def _replicas(track: TrackState | None) -> str:
    return str(track.replicas) if track else "0"


def _percent(track: TrackState | None) -> str:
    return f"{track.share:g} %" if track else "0 %"


def _traffic(release: ReleaseState | None) -> str:
    return code(release.traffic) if release else NOTHING


def _faults(plan: Plan) -> list[str]:
    if not plan.faults:
        return []
    said = _cut("\n\n".join(plan.faults), FAULTS_BYTES)
    return ["> [!CAUTION]\n> The preview failed: merged like this, nothing would be changed.", fenced(said)]


def _warnings(plan: Plan) -> list[str]:
    if not plan.losses:
        return []
    lines = _most([f"**{_loss(change)}**" for change in plan.losses])
    return ["\n".join(["> [!CAUTION]", *(f"> {line}" for line in lines)])]


def _loss(change: Change) -> str:
    verb = "DELETED" if change.operation == "delete" else "REPLACED, the present one deleted"
    return f"The {change.loses} {code(change.name)} ({code(change.kind)}) is {verb}."


def _advice(plan: Plan) -> list[str]:
    if not plan.advice:
        return []
    lines = _most([code(_cut(each, ROW_BYTES)) for each in plan.advice])
    return ["\n".join(["**Advice of the policies**", "", *(f"- {line}" for line in lines)])]


def _resources(plan: Plan, most: int | None = None) -> str:
    """Resources that change, in a table, gravest first."""
    counted = ", ".join(f"{plan.count(operation)} to {operation}" for operation in OPERATIONS if plan.count(operation))
    title = f"### Resources: {counted or 'no change'}, {plan.unchanged} unchanged"
    if not plan.changes:
        return title
    rows = [_row(change) for change in plan.changes[:most]]
    return "\n".join([title, "", "| change | resource | type | what differs |", "| --- | --- | --- | --- |", *rows])


def _row(change: Change) -> str:
    shown = ", ".join(code(path) for path in change.properties[:5])
    more = f" and {len(change.properties) - 5} more" if len(change.properties) > 5 else ""
    return f"| {change.operation} | {code(change.name)} | {code(change.type)} | {shown}{more} |"


def _diff(diff: str) -> str:
    if not diff.strip():
        return ""
    return _joined(["<details><summary>Full diff</summary>", fenced(diff), "</details>"])


def _diff_shortened(plan: Plan, room: int) -> str:
    """As many of the diff's first lines as fit, and how to see the rest."""
    lines = plan.diff.splitlines()
    shown = _that_fit(lines, room - _size(_diff("x" + "`" * _longest_run("`", plan.diff))))
    left = len(lines) - len(shown)
    note = f"The diff's last {left} lines of {len(lines)} don't fit here; {_see_all(plan)} shows them."
    return _joined([_diff("\n".join(shown)), note])


def _table_shortened(plan: Plan, room: int) -> str:
    shown = _that_fit([_row(change) for change in plan.changes], room - _size(_resources(plan, most=0)))
    left = len(plan.changes) - len(shown)
    return _joined(
        [
            _resources(plan, most=len(shown)),
            f"{left} more resources and the diff don't fit here; {_see_all(plan)} shows them.",
        ]
    )


def _see_all(plan: Plan) -> str:
    return code(f"pulumi preview --diff --stack {plan.stack}")


def _that_fit(lines: Sequence[str], room: int) -> list[str]:
    """The first lines that take no more bytes than there is room for."""
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
    """At most that many bytes of the text, and a mark where it was longer."""
    return text if _size(text) <= size else text.encode()[:size].decode(errors="ignore") + " …"


def _joined(sections: Iterable[str]) -> str:
    return "\n\n".join(section for section in sections if section)


def _size(text: str) -> int:
    return len(text.encode())


def _longest_run(character: str, text: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(character)}+", text)), default=0)
