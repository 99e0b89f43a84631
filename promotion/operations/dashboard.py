"""Show releases on a page: served on this machine until Ctrl-C, or written to a file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi import automation

from promotion.errors import DONE, WRONG_USE, CommandError
from promotion.operations.options import DashboardOptions
from promotion.operations.release_stacks import selection_kept
from promotion.operations.report import request_metrics
from promotion.operations.stop_request import StopRequest
from promotion.state.engine import error_lines, select_stack, workspace
from promotion.state.stack_file import StackFile

if TYPE_CHECKING:
    from promotion.page.feed import Reader

#: Seconds between two checks whether the page still follows; Ctrl-C ends the wait at once.
WAIT_SECONDS = 1.0


def dashboard(options: DashboardOptions) -> int:
    """Show a stack, or all; return the exit code. Raises CommandError."""
    target = _writable(options.html) if options.html else None
    readers = _all_readers() if options.all else [_reader(options.stack)]
    if target is None and options.output == "text":
        return _serve(readers)
    from promotion.page.feed import page_document

    stacks = [reader.read() for reader in readers]
    if target is not None:
        from promotion.page import rendering

        _write(target, rendering.page(page_document(stacks, public=True), live=False))
    if options.output == "json":
        shown = page_document(stacks, public=False)
        print(json.dumps({"stack": None if options.all else options.stack, **shown}, indent=2))
    else:
        print(f"{target} has the page; open it in a browser")
    return DONE


def _reader(name: str) -> Reader:
    from promotion.page.document import StackReader  # the Kubernetes client takes half a second to import

    file = StackFile.of(name)
    return StackReader(select_stack(name), file, request_metrics(file))


class _UnreadableStack:
    """A stack that cannot be read at all, such as one without a file in this checkout."""

    trial_changed = 0.0

    def __init__(self, name: str, error: str) -> None:
        self._name, self._error = name, error

    def read(self) -> dict[str, Any]:
        from promotion.page.document import failed_document

        return failed_document(self._name, self._error)

    read_trial = read


def _all_readers() -> list[Reader]:
    """Return a reader of each of the project's stacks in the backend, by name."""
    project = workspace()
    try:
        stacks = project.list_stacks()
    except automation.CommandError as error:
        raise CommandError(f"cannot list the project's stacks: {error_lines(error)}") from None
    readers: list[Reader] = []
    with selection_kept(project, stacks):
        for name in sorted(each.name for each in stacks):
            try:
                readers.append(_reader(name))
            except CommandError as error:
                readers.append(_UnreadableStack(name, str(error)))
    return readers


def _serve(readers: Sequence[Reader]) -> int:
    from promotion.page.feed import Feed
    from promotion.page.server import PageServer

    feed = Feed(readers)
    server = PageServer(feed)
    stop = StopRequest()
    server.start()
    try:
        print(f"Open this address once, on this machine: {server.address}\nCtrl-C ends the page.", flush=True)
        while not (stop.received or feed.error):
            stop.wait(WAIT_SECONDS)
    finally:
        server.stop()
    if feed.error:
        raise feed.error
    return DONE


def _writable(file: str) -> Path:
    """Return the path of a new file. Raises CommandError if its folder is missing or it is a folder itself."""
    path = Path(file)
    if path.is_dir() or not path.resolve().parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder {path.resolve().parent}"
        raise CommandError(f"--html {file}: {why}; give the name of a file to write", WRONG_USE)
    return path


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner alone."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CommandError(f"--html {path}: cannot write the file: {error.strerror}", WRONG_USE) from None
