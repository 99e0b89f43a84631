"""Post JSON documents to webhooks, all at once and within a few seconds, whatever the receivers do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

#: Seconds in which all receivers together must answer.
SECONDS = 3.0


@dataclass(frozen=True)
class Delivery:
    """A document for a receiver. ``name`` is its name in messages, since the address is a secret."""

    name: str
    address: str = field(repr=False)
    document: Mapping[str, Any]


def deliver(deliveries: Sequence[Delivery], seconds: float = SECONDS) -> list[str]:
    """Post each document once; return a phrase for each that was not accepted, such as ``NAME answered 500``."""
    problems: dict[str, str] = {}

    def post(delivery: Delivery) -> None:
        problems[delivery.name] = _post(delivery, seconds)

    threads = [
        Thread(target=post, args=(each,), daemon=True) for each in deliveries
    ]  # a stuck one ends with the process
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"did not answer within {seconds:g} s"
    answers = {each.name: problems.get(each.name, late) for each in deliveries}
    return [f"{name} {problem}" for name, problem in answers.items() if problem]


def _post(delivery: Delivery, seconds: float) -> str:
    """Return what went wrong, without the address, which errors of the library contain; "" if nothing did."""
    import requests  # takes 0.2 s to import

    try:
        answer = requests.post(
            delivery.address,
            json=delivery.document,
            timeout=seconds,
            allow_redirects=False,  # another host must not get the document
            stream=True,  # the body does not matter
        )
        answer.close()
    except requests.Timeout:
        return f"did not answer within {seconds:g} s"
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
        return "has an invalid address"
    except (requests.RequestException, OSError, ValueError):
        return "cannot be reached"
    return "" if 200 <= answer.status_code < 300 else f"answered {answer.status_code}"
