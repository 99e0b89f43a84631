"""What a person sees of an update, from the engine's own events."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from promotion.state.progress import Progress, resource_name

URN = "urn:pulumi:dev::addressbook::delivery:release:Track$kubernetes:apps/v1:Deployment::addressbook-canary"


def step(op: str, urn: str = URN) -> dict[str, Any]:
    return {"metadata": {"op": op, "urn": urn, "type": urn.split("$")[-1].rpartition("::")[0], "provider": ""}}


def shown(*events: dict[str, Any]) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    progress = Progress(out, err)
    for number, event in enumerate(events):
        progress.event(EngineEvent.from_json({"sequence": number, "timestamp": 0, **event}))
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("op", "line"),
    [("create", "+"), ("update", "~"), ("delete", "-"), ("create-replacement", "+"), ("delete-replaced", "-")],
)
def test_a_line_for_each_resource_that_changed(op: str, line: str):
    out, err = shown({"resourcePreEvent": step(op)}, {"resOutputsEvent": step(op)})
    assert out.startswith(f"  {line} Deployment addressbook-canary")
    assert not err


def test_what_stays_is_only_counted():
    out, _ = shown(
        {"resOutputsEvent": step("same")},
        {
            "summaryEvent": {
                "maybeCorrupt": False,
                "durationSeconds": 7,
                "resourceChanges": {"same": 3, "create": 2, "replace": 1},
                "policyPacks": {},
            }
        },
    )
    assert out == "  3 unchanged, 2 created, 1 replaced, in 7 s\n"


def test_errors_name_the_resource_and_go_to_standard_error():
    message = "<{%reset%}>the image can't be pulled<{%reset%}>\n"
    _, err = shown({"diagnosticEvent": {"message": message, "severity": "error", "color": "raw", "urn": URN}})
    assert err == "error: Deployment addressbook-canary: the image can't be pulled\n"


def test_what_a_stand_in_is_found_by_is_not_repeated_at_each_run():
    message = "using pulumi-resource-kubernetes from $PATH at /opt/bin"
    out, err = shown({"diagnosticEvent": {"message": message, "severity": "warning", "color": "raw"}})
    assert (out, err) == ("", "")


def test_a_providers_failure_is_shown_once():
    """The bridge logs it, and then returns it."""
    urn = "urn:pulumi:prod::addressbook::delivery:digitalocean:ImageRegistry$digitalocean:index/x:X::registry"
    reason = "Error creating container registry: POST https://api.digitalocean.com/v2/registries: 409 taken"
    logged = f"  sdk-v2/provider2.go:572: sdk.helper_schema: {reason}: provider=digitalocean@4.84.1\n"
    returned = f"creating {urn}: 1 error occurred:\n\t* {reason}\n\n"
    messages = [logged, returned, f"error: 1 error occurred:\n\t* {reason}\n\n"]
    _, err = shown(
        *({"diagnosticEvent": {"message": each, "severity": "error", "color": "raw", "urn": urn}} for each in messages)
    )
    assert err == f"error: X registry: {reason}\n"


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_provider_waited_for_matters_if_it_fails(fails: bool):
    text = "[Pod addressbook/canary-x]: containers with unready status: [addressbook]"
    warning = {"diagnosticEvent": {"message": text, "severity": "warning", "color": "raw", "urn": URN}}
    end = (
        {"resOpFailedEvent": {**step("create"), "status": 0, "steps": 0}}
        if fails
        else {"resOutputsEvent": step("create")}
    )
    _, err = shown({"resourcePreEvent": step("create")}, warning, end)
    assert err == (f"warning: Deployment addressbook-canary: {text}\n" if fails else "")


def test_other_warnings_of_kubernetes_are_shown():
    warning = {"message": "policy/v1beta1 is deprecated", "severity": "warning", "color": "raw", "urn": URN}
    assert (
        shown({"diagnosticEvent": warning})[1]
        == "warning: Deployment addressbook-canary: policy/v1beta1 is deprecated\n"
    )


def test_a_failed_step_is_shown():
    out, _ = shown({"resOpFailedEvent": {**step("update"), "status": 0, "steps": 0}})
    assert "✗ Deployment addressbook-canary" in out
    assert "update failed" in out


def test_resource_name():
    assert resource_name(URN) == "Deployment addressbook-canary"


def test_a_failed_run_ends_with_its_errors():
    error = {"diagnosticEvent": {"message": "the config is wrong", "severity": "error", "color": "raw"}}
    noise = "an unhandled error occurred: program exited with non-zero exit code: 1"
    counted = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"same": 1}, "policyPacks": {}}
    out, err = shown(
        error, {"diagnosticEvent": {**error["diagnosticEvent"], "message": noise}}, {"summaryEvent": counted}
    )
    assert (out, err) == ("", "error: the config is wrong\n")
