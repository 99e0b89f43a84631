"""Events of moves and failures, with real receivers on this machine: good, slow, dead and broken ones."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.project import PROJECT_ROOT
from promotion.errors import BUSY, UNHEALTHY, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations import events
from promotion.operations.events import prepare_event, send_event, slack_text
from promotion.operations.session import Session
from promotion.state import history, webhooks
from promotion.verdict import Verdict
from tests.unit.promotion.operations.fake_stack import NEW, OLD, TIME, Make

SECRET_PATH = "/services/T0KEN"
LATER = "2999-01-01T00:00:00+00:00"


class Receiver(ThreadingHTTPServer):
    """Answer with the status in the path, after the seconds in it; ``received`` are the documents."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def address(self, status: int = 200, seconds: float = 0) -> str:
        return f"http://127.0.0.1:{self.server_port}{SECRET_PATH}/{status}/{seconds}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        *_, status, seconds = self.path.split("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(float(seconds))
        cast(Receiver, self.server).received.append(json.loads(body))
        self.send_response(int(status))
        if int(status) // 100 == 3:
            self.send_header("Location", cast(Receiver, self.server).address())
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


Promoted = Callable[..., Session]


@pytest.fixture
def promoted(make: Make, monkeypatch: pytest.MonkeyPatch) -> Promoted:
    """Return a function that opens the session of a promotion that has ended, with these addresses by key and name."""
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    for name, value in (("SERVER_URL", "https://github.com"), ("REPOSITORY", "acme/book"), ("RUN_ID", "7")):
        monkeypatch.setenv(f"GITHUB_{name}", value)

    def promoted(**addresses: dict[str, str]) -> Session:
        healthy = f"healthy sha256:{'b' * 64} {TIME}"
        earlier = [
            {"stableImage": NEW, "canaryVerdict": healthy, "time": LATER},
            {"stableImage": OLD, "canaryImage": NEW, "canaryReplicas": "1"},
        ]
        session, _ = make("promote", {"stable": NEW}, earlier, {"message": "for <all> & sundry"}, stableImage=NEW)
        lines = [f"  addressbook:{key}: {{x: {{secure: cipher}}}}\n" for key in addresses]
        session.file.write(session.file.text() + f"  addressbook:canaryVerdict: {healthy}\n" + "".join(lines))
        values = {key: json.dumps(each) for key, each in addresses.items()}
        monkeypatch.setattr(events, "written_values", lambda *_: values)
        session.changed = session.engine.ran = True
        return session

    return promoted


def test_an_event_says_who_moved_what_and_why(promoted: Promoted, receiver: Receiver):
    send_event(promoted(webhooks={"team": receiver.address()}))
    (event,) = receiver.received
    assert event["from"] == {"stable": OLD, "canary": NEW}
    assert event["to"] == {"stable": NEW, "canary": None}
    assert event["verdict"] == {"result": "healthy", "digest": f"sha256:{'b' * 64}", "time": TIME}
    shown = {key: event[key] for key in ("stack", "command", "outcome", "who", "message", "cause", "link")}
    assert shown == {
        "stack": "dev",
        "command": "promote",
        "outcome": "done",
        "who": "ada",
        "message": "for <all> & sundry",
        "cause": None,
        "link": "https://github.com/acme/book/actions/runs/7",
    }
    page = (PROJECT_ROOT / "docs" / "reference" / "events.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(event), "the reference has every field"


def test_slack_gets_one_escaped_message(promoted: Promoted, receiver: Receiver):
    send_event(promoted(slackWebhooks={"ops": receiver.address()}))
    (message,) = receiver.received
    assert list(message) == ["text"]
    assert message["text"].startswith(":white_check_mark: *dev*: `promote` done, by ada")
    assert (
        f"stable sha256:{'a' * 12}, canary sha256:{'b' * 12} → stable sha256:{'b' * 12}, canary none" in message["text"]
    )
    assert "for &lt;all&gt; &amp; sundry" in message["text"]
    assert "<https://github.com/acme/book/actions/runs/7|log>" in message["text"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (lambda receiver: receiver.address(seconds=3), "webhooks.team did not answer within 0.3 s"),
        (lambda _: f"http://127.0.0.1:1{SECRET_PATH}", "webhooks.team cannot be reached"),
        (lambda receiver: receiver.address(500), "webhooks.team answered 500"),
        (lambda receiver: receiver.address(307), "webhooks.team answered 307"),
        (lambda _: f"ftp://127.0.0.1{SECRET_PATH}", "webhooks.team has an invalid address"),
        (lambda _: SECRET_PATH, "webhooks.team has an invalid address"),
    ],
    ids=["slow", "dead", "broken", "elsewhere", "another scheme", "no address"],
)
def test_a_bad_receiver_costs_a_line_and_no_time(
    promoted: Promoted,
    receiver: Receiver,
    address: Callable[[Receiver], str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(events, "deliver", lambda deliveries: webhooks.deliver(deliveries, 0.3))
    session = promoted(webhooks={"team": address(receiver), "other": receiver.address()})
    began = time.monotonic()
    send_event(session)
    assert time.monotonic() - began < 2
    assert capsys.readouterr().err == f"warning: an event was not delivered: {problem}\n"
    assert len([each for each in receiver.received if each["command"] == "promote"]) >= 1, "the other one got it"


def test_a_trickling_answer_costs_no_time_either(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    """Each byte restarts a socket's timeout."""

    def trickle(handler: _Handler) -> None:
        for _ in range(30):
            time.sleep(0.1)
            handler.wfile.write(b"H")

    monkeypatch.setattr(_Handler, "do_POST", trickle)
    began = time.monotonic()
    assert webhooks.deliver([webhooks.Delivery("team", receiver.address(), {})], 0.3) == [
        "team did not answer within 0.3 s"
    ]
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("error", "outcome", "cause"),
    [
        (CommandError("the update failed"), "failed", "the update failed"),
        (CommandError("rolled back", UNHEALTHY), "unhealthy", "rolled back"),
        (UpdateInterruptedError("the engine was killed"), "interrupted", "the engine was killed"),
        (KeyboardInterrupt(), "interrupted", None),
        (ZeroDivisionError("secret"), "failed", "unexpected ZeroDivisionError"),
    ],
)
def test_a_failure_is_an_event(
    promoted: Promoted, receiver: Receiver, error: BaseException, outcome: str, cause: str | None
):
    send_event(promoted(webhooks={"team": receiver.address()}), error)
    assert [(each["outcome"], each["cause"]) for each in receiver.received] == [(outcome, cause)]


def test_a_rejected_canary_is_named_with_its_verdict(promoted: Promoted, receiver: Receiver):
    session = promoted(webhooks={"team": receiver.address()})
    unhealthy = f"sha256:{'c' * 64}"
    session.file.write(session.file.edited({"canaryVerdict": f"unhealthy {unhealthy} {TIME}"}))
    session.verdict = cast(Verdict, SimpleNamespace(result="unhealthy", digest=unhealthy, reasons=["errors: too many"]))
    session.cause = "the canary is unhealthy"
    send_event(session)
    (event,) = receiver.received
    assert event["outcome"] == "unhealthy"
    assert event["verdict"]["digest"] == unhealthy
    assert event["cause"] == "the canary is unhealthy; errors: too many"


@pytest.mark.parametrize("code", [WRONG_USE, BUSY])
def test_a_refusal_is_no_event(promoted: Promoted, receiver: Receiver, code: int):
    send_event(promoted(webhooks={"team": receiver.address()}), CommandError("refused", code))
    assert not receiver.received


def test_what_changed_nothing_is_no_event(promoted: Promoted, receiver: Receiver):
    for error in (None, KeyboardInterrupt()):
        session = promoted(webhooks={"team": receiver.address()})
        session.changed = session.engine.ran = False
        send_event(session, error)
    assert not receiver.received


def test_unreadable_addresses_cost_one_line(
    promoted: Promoted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def unreadable(*_: object) -> None:
        raise CommandError("cannot decrypt its file")

    session = promoted(webhooks={"team": ""})
    monkeypatch.setattr(events, "written_values", unreadable)
    send_event(session)
    assert capsys.readouterr().err == "warning: an event was not delivered: cannot decrypt its file\n"


@pytest.mark.parametrize("value", ["https://hooks.example/T0KEN", '["https://hooks.example/T0KEN"]', "7"])
def test_a_malformed_key_is_one_line_and_no_error(
    promoted: Promoted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
):
    for prepared, when in ((True, "will not be"), (False, "was not")):
        session = promoted(webhooks={"team": ""})
        monkeypatch.setattr(events, "written_values", lambda *_: {"webhooks": value})
        if prepared:
            prepare_event(session)
        send_event(session)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"warning: an event {when} delivered: webhooks is no object of names and addresses")
        assert "T0KEN" not in line


@pytest.mark.parametrize("receivers", [{}, {"webhooks": {"team": "https://hooks.example"}}])
def test_only_an_event_with_receivers_reads_the_history(
    promoted: Promoted, monkeypatch: pytest.MonkeyPatch, receivers: dict[str, dict[str, str]]
):
    session = promoted(**receivers)
    session.forget_updates()
    read: list[object] = []

    def unreadable(*_: object) -> None:
        read.append(_)
        raise CommandError("cannot read its history")

    monkeypatch.setattr(history, "updates", unreadable)
    prepare_event(session)
    assert len(read) == len(receivers)


def test_a_failed_move_names_what_it_tried(promoted: Promoted, receiver: Receiver):
    session = promoted(webhooks={"team": receiver.address()})
    session.engine.outputs = {"tracks": {"stable": {"image": OLD}, "canary": {"image": NEW}}}
    send_event(session, CommandError("failed"))
    (event,) = receiver.received
    assert event["to"] == {"stable": OLD, "canary": NEW}
    assert "stable sha256" in slack_text(event)
