"""Reports on a stack that change nothing: preview, status, history and diagnosis."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contract.judging import RequestMetrics
from contract.settings import VerdictKeys
from promotion.errors import DONE, DRIFTED, FAILED, WRONG_USE, CommandError
from promotion.operations.figures import (
    WINDOWS,
    deployments_of,
    figures_json,
    figures_of,
    figures_prometheus,
    figures_text,
)
from promotion.operations.options import DiagnoseOptions, HistoryOptions, PreviewOptions, StatusOptions
from promotion.operations.session import keys_of
from promotion.operations.stop_request import StopRequest
from promotion.operations.timeline import timeline, timeline_json, timeline_text
from promotion.preview.comment import comment
from promotion.preview.planned import Plan, plan
from promotion.preview.revisions import with_revisions
from promotion.state.checkout import commit_times
from promotion.state.engine import select_stack
from promotion.state.git import commits, is_shallow
from promotion.state.history import Update, releases_of, updates
from promotion.state.stack_file import StackFile

if TYPE_CHECKING:
    from promotion.status.status import Observer, Status

#: Entries of the history without `--all`.
SHOWN_ENTRIES = 20
#: Seconds between two checks of a stack that is not ready.
WAIT_POLL_SECONDS = 2
#: Clears a terminal and moves to its first line (ECMA-48).
CLEAR = "\x1b[2J\x1b[H"


def preview(options: PreviewOptions) -> int:
    """Print what `up` would do, with the digest of its steps; return the exit code. Raises CommandError."""
    planned = plan(select_stack(options.stack))
    if options.output != "text" and not planned.faults:
        planned = with_revisions(planned, StackFile.of(options.stack).values())
    document = json.dumps(asdict(planned), indent=2, ensure_ascii=False)
    if options.save:
        _write(Path(options.save), document)
    match options.output:
        case "markdown":
            print(comment(planned))
        case "json":
            print(document)
        case _:
            print(planned.diff or "no changes", *planned.advice, sep="\n")
            if planned.faults:
                print(*(f"error: {error}" for error in planned.faults), sep="\n")
            else:
                print(f"\ndigest of these steps: {planned.digest}")
    return preview_code(planned)


def _write(file: Path, document: str) -> None:
    try:
        file.write_text(f"{document}\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--save {file}: cannot write the file: {error.strerror}", WRONG_USE) from None


def preview_code(plan: Plan) -> int:
    """Return the exit code of a preview: DONE if `up` would start, otherwise the code with which it would refuse."""
    return WRONG_USE if plan.faults else DONE


def history(options: HistoryOptions) -> int:
    """Print who changed what and when; return the exit code. Raises CommandError."""
    stack = select_stack(options.stack)
    all_updates = updates(stack)
    if options.figures or options.output == "prometheus":
        return _print_figures(options, all_updates)
    releases = releases_of(all_updates)
    limit = None if options.all else SHOWN_ENTRIES
    file = StackFile.of(options.stack)
    entries = timeline(all_updates, commits(file, limit))[:limit]
    complete = not is_shallow(file)
    if options.output == "json":
        print(json.dumps(timeline_json(options.stack, entries, releases, complete), indent=2))
    else:
        print(timeline_text(options.stack, entries, releases, complete))
    return DONE


def _print_figures(options: HistoryOptions, updates: Sequence[Update]) -> int:
    times = commit_times(StackFile.of(options.stack), [update.commit for update in updates])
    deployments, now = deployments_of(updates, times), datetime.now(UTC)
    figures = [figures_of(deployments, now, days) for days in (*WINDOWS, None)]
    match options.output:
        case "prometheus":
            print(figures_prometheus(options.stack, deployments), end="")
        case "json":
            print(json.dumps(figures_json(options.stack, figures), indent=2))
        case _:
            print(figures_text(options.stack, figures))
    return DONE


def diagnose(options: DiagnoseOptions) -> int:
    """Print what is wrong, why, and how to fix it; return the exit code. Raises CommandError."""
    # The Kubernetes client takes half a second to import.
    from promotion.diagnosis.diagnose import diagnose, diagnosis_json, diagnosis_text
    from promotion.state.cluster.cluster import Cluster

    findings = diagnose(Cluster.of(select_stack(options.stack)), options.track)
    if options.output == "json":
        print(json.dumps({"stack": options.stack, "findings": diagnosis_json(findings)}, indent=2))
    else:
        print(diagnosis_text(findings))
    return FAILED if any(not finding.notice for finding in findings) else DONE


def status(options: StatusOptions) -> int:
    """Print the release's status, once or until Ctrl-C; return the exit code. Raises CommandError."""
    from promotion.status.live import Meter
    from promotion.status.status import Observer  # the Kubernetes client takes half a second to import

    stack = select_stack(options.stack)
    file = StackFile.of(options.stack)
    meter = Meter(options.watch is None, request_metrics(file))
    observer = Observer(stack, file, meter, ignore_image=options.ignore_image)
    if options.ready_within is not None:
        return _wait_until_ready(observer, options, options.ready_within)
    if options.watch is None:
        return _print_status(observer.look(), options, "")
    clear = CLEAR if options.output == "text" and sys.stdout.isatty() else ""
    stop = StopRequest()
    while not stop.received:
        try:
            _print_status(observer.look(), options, clear)
        except CommandError as error:  # for example during a `down`; the stack may come back
            print(f"{clear}{error}", file=sys.stderr if options.output == "json" else sys.stdout, flush=True)
        stop.wait(options.watch)
    return DONE


def request_metrics(file: StackFile) -> RequestMetrics:
    """Return the metrics that the stack file names, or the default ones and a warning if its keys are invalid."""
    try:
        return keys_of(file, VerdictKeys).metrics
    except CommandError as error:
        print(f"warning: {error}\nThe requests are read from the default metrics meanwhile.", file=sys.stderr)
        return RequestMetrics()


def _wait_until_ready(observer: Observer, options: StatusOptions, seconds: float) -> int:
    """Print the status once all tracks are ready, or when the time is over. Raises CommandError then."""
    from promotion.status.status import missing

    deadline = time.monotonic() + seconds
    announced = ""
    while True:
        late = time.monotonic() >= deadline
        try:
            status = observer.look()
        except CommandError as error:  # an `up` may be about to create what is missing
            if late:
                raise
            waiting_for = str(error)
        else:
            waiting_for = "; ".join(missing(status))
            if late or not waiting_for:
                _print_status(status, options, "")
                if not waiting_for:
                    return DONE
                raise CommandError(f"stack `{options.stack}` is not ready after {seconds:g} s: {waiting_for}")
        if waiting_for != announced:
            print(f"waiting: {waiting_for}", file=sys.stderr, flush=True)
            announced = waiting_for
        time.sleep(min(WAIT_POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _print_status(status: Status, options: StatusOptions, clear: str) -> int:
    """Print the status; return FAILED if the cluster did not answer, and with ``exit_code`` whether there is drift."""
    from promotion.status.status import status_json
    from promotion.status.table import status_text

    if options.output == "json":
        # With --watch, each line is one document.
        print(json.dumps(status_json(status), indent=2 if options.watch is None else None), flush=True)
    else:
        print(f"{clear}{status_text(status)}", flush=True)
    if status.live is None or (options.exit_code and status.uncompared):
        return FAILED
    return DRIFTED if options.exit_code and status.drift else DONE
