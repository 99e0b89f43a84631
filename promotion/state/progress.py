"""Print an update as it runs: the engine's events, one line for each resource that changes."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from pulumi.automation.events import EngineEvent, OpType, PolicyEvent, StepEventMetadata

#: Start of the engine's message about a policy that it cannot evaluate before the update because of an unknown value.
NOT_EVALUATED = "can't run policy"
#: Seconds between two lines about a resource that is not ready yet.
WAITING_SECONDS = 10
SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "±", "refresh": "↻", "import": "="}
PAST_TENSE = {"create": "created", "update": "updated", "delete": "deleted", "import": "imported"}
#: The engine's colour marks in messages, such as <{%reset%}>.
COLOR_MARK = re.compile(r"<\{%[^%]*%\}>")
#: Useless lines that the engine adds to each run: the path of a provider plugin, and "program exited" after the program
#: has printed the reason itself.
NOISE = re.compile(
    r"^using pulumi-\S+ from \$PATH|^an unhandled error occurred: program exited with non-zero exit code"
)
#: Warnings of the Kubernetes provider about what it waits for, such as "[Pod addressbook/migrate-x]: …": a finished Job
#: and a new Deployment have one each. They matter only if the wait fails.
AWAITED = re.compile(r"^\[[^\]]+\]")
#: What the providers' bridge adds to a provider's own message: it logs a failure, and then returns it.
BRIDGE = re.compile(
    r"^sdk-v2/\S+ sdk\.helper_schema: |: provider=\S+$|^\w+ing urn:\S+: |^\d+ errors? occurred:\s*\* ", re.MULTILINE
)


class Progress:
    """Print events as they come. Pass ``event`` to the Automation API as ``on_event``."""

    def __init__(self, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> None:
        self._out = out
        self._err = err
        self._began: dict[str, float] = {}
        self._last_printed: dict[str, float] = {}
        self._has_error = False
        self._held_back: dict[str, list[str]] = {}
        self._errors: set[tuple[str | None, str]] = set()
        #: URNs of the resources whose operation failed.
        self.failed: list[str] = []

    def event(self, event: EngineEvent) -> None:
        """Print the event if it is useful to people."""
        if event.resource_pre_event:
            self._start(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._end(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            metadata = event.res_op_failed_event.metadata
            self.failed.append(metadata.urn)
            for text in self._held_back.pop(metadata.urn, []):
                self._problem("warning", text, metadata.urn)
            self._line("✗", metadata.urn, f"{operation(metadata)} failed")
        elif event.diagnostic_event:
            diagnostic = event.diagnostic_event
            self._message(diagnostic.severity, diagnostic.message, diagnostic.urn, bool(diagnostic.ephemeral))
        elif event.policy_event:
            self._violation(event.policy_event)
        elif event.summary_event and not self._has_error:
            self._summary(event.summary_event.resource_changes, event.summary_event.duration_seconds)

    def _start(self, metadata: StepEventMetadata) -> None:
        self._began[metadata.urn] = self._last_printed[metadata.urn] = time.monotonic()

    def _end(self, metadata: StepEventMetadata) -> None:
        verb = operation(metadata)
        self._held_back.pop(metadata.urn, None)
        if verb in PAST_TENSE and not metadata.type.startswith("pulumi:"):  # the stack itself, and providers
            self._line(SIGNS[verb], metadata.urn, PAST_TENSE[verb])

    def _line(self, sign: str, urn: str, what: str) -> None:
        seconds = time.monotonic() - self._began.get(urn, time.monotonic())
        took = f"  {seconds:.1f} s" if seconds >= 0.1 else ""
        print(f"  {sign} {resource_name(urn):<52} {what}{took}", file=self._out, flush=True)

    def _message(self, severity: str, message: str, urn: str | None, ephemeral: bool) -> None:
        text = COLOR_MARK.sub("", message).strip()
        if not text or NOISE.match(text):
            return
        self._has_error |= severity == "error"
        if severity in ("error", "warning"):
            text = text.removeprefix(f"{severity}: ")
            if severity == "warning" and urn and "$kubernetes:" in urn and AWAITED.match(text):
                self._held_back.setdefault(urn, []).append(text)
            else:
                self._problem(severity, text, urn)
        elif severity == "info#err" or (severity == "info" and not ephemeral):
            print(f"    {text}", file=self._out, flush=True)
        elif urn and severity == "info" and time.monotonic() - self._last_printed.get(urn, 0) >= WAITING_SECONDS:
            self._last_printed[urn] = time.monotonic()
            print(f"  … {resource_name(urn):<52} {text.splitlines()[-1]}", file=self._out, flush=True)

    def _problem(self, severity: str, text: str, urn: str | None) -> None:
        """Print an error or a warning, an error of the same resource only once."""
        if severity == "error":
            text = own_message(text)
            if (urn, text) in self._errors:
                return
            self._errors.add((urn, text))
        where = f"{resource_name(urn)}: " if urn and "pulumi:pulumi:Stack" not in urn else ""
        print(f"{severity}: {where}{text}", file=self._err, flush=True)

    def _violation(self, violation: PolicyEvent) -> None:
        text = COLOR_MARK.sub("", violation.message).strip()
        if NOT_EVALUATED in text:
            return
        where = f", {resource_name(violation.resource_urn)}" if violation.resource_urn else ""
        level = "error: policy" if violation.enforcement_level == "mandatory" else "advice: policy"
        print(f"{level} {violation.policy_name}{where}: {text}", file=self._err, flush=True)

    def _summary(self, changes: Mapping[OpType, int], seconds: int) -> None:
        verbs = {**PAST_TENSE, "replace": "replaced", "same": "unchanged"}
        counted = [f"{count} {verbs[kind]}" for kind, count in changes.items() if kind in verbs and count]
        print(f"  {', '.join(counted) or 'nothing to do'}, in {seconds} s", file=self._out, flush=True)


def own_message(text: str) -> str:
    """Return a provider's own message, without what the bridge adds to it."""
    while (shorter := BRIDGE.sub("", text).strip()) != text:
        text = shorter
    return text


def operation(metadata: StepEventMetadata) -> str:
    """Return the step's operation; a key of PAST_TENSE if it changes the resource."""
    name = str(getattr(metadata.op, "value", metadata.op))
    return {"create-replacement": "create", "delete-replaced": "delete"}.get(name, name)


def resource_name(urn: str) -> str:
    """Return ``Deployment addressbook-stable`` for a URN that ends in ``apps/v1:Deployment::addressbook-stable``."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]} {name}"
