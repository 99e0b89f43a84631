"""An update as it happens, a line for each resource that changes: the engine's events, made readable."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from pulumi.automation.events import EngineEvent, OpType, PolicyEvent, StepEventMetadata

from promotion.state.policies import NOT_JUDGED

#: Seconds between two lines about the same resource that is still being waited for.
WAITING_SECONDS = 10
SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "±", "refresh": "↻", "import": "="}
DONE_WORDS = {"create": "created", "update": "updated", "delete": "deleted", "import": "imported"}
#: The engine's colour marks in messages, such as <{%reset%}>.
COLOR_MARK = re.compile(r"<\{%[^%]*%\}>")
#: What the engine adds to each run: where it found a stand-in (`lab status` says it once, and better), and that the
#: program ended, after the program itself has said why.
NOISE = re.compile(
    r"^using pulumi-\S+ from \$PATH|^an unhandled error occurred: program exited with non-zero exit code"
)


class Progress:
    """Prints events as they come; give ``event`` to the Automation API as ``on_event``."""

    def __init__(self, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> None:
        self._out = out
        self._err = err
        self._began: dict[str, float] = {}
        self._last_said: dict[str, float] = {}
        self._failed = False
        #: URNs of the resources that an operation failed on.
        self.failed: list[str] = []

    def event(self, event: EngineEvent) -> None:
        """Print what the event says, if it says something to a person."""
        if event.resource_pre_event:
            self._start(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._end(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            metadata = event.res_op_failed_event.metadata
            self.failed.append(metadata.urn)
            self._line("✗", metadata.urn, f"{operation(metadata)} failed")
        elif event.diagnostic_event:
            diagnostic = event.diagnostic_event
            self._message(diagnostic.severity, diagnostic.message, diagnostic.urn, bool(diagnostic.ephemeral))
        elif event.policy_event:
            self._violation(event.policy_event)
        elif event.summary_event and not self._failed:
            self._summary(event.summary_event.resource_changes, event.summary_event.duration_seconds)

    def _start(self, metadata: StepEventMetadata) -> None:
        self._began[metadata.urn] = self._last_said[metadata.urn] = time.monotonic()

    def _end(self, metadata: StepEventMetadata) -> None:
        verb = operation(metadata)
        if verb in DONE_WORDS and not metadata.type.startswith("pulumi:"):  # the stack itself, and providers
            self._line(SIGNS[verb], metadata.urn, DONE_WORDS[verb])

    def _line(self, sign: str, urn: str, what: str) -> None:
        seconds = time.monotonic() - self._began.get(urn, time.monotonic())
        took = f"  {seconds:.1f} s" if seconds >= 0.1 else ""
        print(f"  {sign} {resource_name(urn):<52} {what}{took}", file=self._out, flush=True)

    def _message(self, severity: str, message: str, urn: str | None, ephemeral: bool) -> None:
        text = COLOR_MARK.sub("", message).strip()
        if not text or NOISE.match(text):
            return
        self._failed |= severity == "error"
        if severity in ("error", "warning"):
            where = f"{resource_name(urn)}: " if urn and "pulumi:pulumi:Stack" not in urn else ""
            print(f"{severity}: {where}{text.removeprefix(f'{severity}: ')}", file=self._err, flush=True)
        elif severity == "info#err" or (severity == "info" and not ephemeral):
            print(f"    {text}", file=self._out, flush=True)
        elif urn and severity == "info" and time.monotonic() - self._last_said.get(urn, 0) >= WAITING_SECONDS:
            self._last_said[urn] = time.monotonic()
            print(f"  … {resource_name(urn):<52} {text.splitlines()[-1]}", file=self._out, flush=True)

    def _violation(self, violation: PolicyEvent) -> None:
        text = COLOR_MARK.sub("", violation.message).strip()
        if NOT_JUDGED in text:
            return
        where = f", {resource_name(violation.resource_urn)}" if violation.resource_urn else ""
        level = "error: policy" if violation.enforcement_level == "mandatory" else "advice: policy"
        print(f"{level} {violation.policy_name}{where}: {text}", file=self._err, flush=True)

    def _summary(self, changes: Mapping[OpType, int], seconds: int) -> None:
        words = {**DONE_WORDS, "replace": "replaced", "same": "unchanged"}
        counted = [f"{count} {words[kind]}" for kind, count in changes.items() if kind in words and count]
        print(f"  {', '.join(counted) or 'nothing to do'}, in {seconds} s", file=self._out, flush=True)


def operation(metadata: StepEventMetadata) -> str:
    """What the step does to the resource, in one of the words of DONE_WORDS where it changes something."""
    word = str(getattr(metadata.op, "value", metadata.op))
    return {"create-replacement": "create", "delete-replaced": "delete"}.get(word, word)


def resource_name(urn: str) -> str:
    """``kubernetes:apps/v1:Deployment::addressbook-stable`` as ``Deployment addressbook-stable``."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]} {name}"
