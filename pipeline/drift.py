"""Keep one open issue for a stack that has drifted, and close it when the drift is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import StepError
from pipeline.github import GitHub

#: Longer than any line of backticks in a difference.
FENCE = "`" * 8
BODY_LIMIT = 60_000  # characters; GitHub's limit is 65,536


def report(hub: GitHub, stack: str, status: Mapping[str, Any]) -> str:
    """Open, update or close the stack's issue as its status demands; return what was done.

    ``status`` is the document of `status --output json`. Raises StepError if it says nothing about drift, or GitHub
    refuses.
    """
    if status.get("error") or "drift" not in status or not status["cluster"]["reachable"]:
        raise StepError(
            f"stack `{stack}` could not be compared: {status.get('error') or 'the cluster does not answer'}"
        )
    title = f"Stack {stack} has drifted"
    issues = hub.pages("issues?state=open&per_page=100")  # pull requests, too
    own = [each for each in issues if each["user"]["login"] == hub.author and "pull_request" not in each]
    issue = next((each for each in own if each["title"] == title), None)
    if status["drift"]:
        body = _body(stack, status["drift"])
        if issue is None:
            return f"opened {hub.send('POST', 'issues', title=title, body=body)['html_url']}"
        if (issue["body"] or "").splitlines() == body.splitlines():
            return f"nothing new in {issue['html_url']}"
        hub.send("PATCH", f"issues/{issue['number']}", body=body)
        return f"updated {issue['html_url']}"
    if issue is None:
        return "no drift"
    hub.send("POST", f"issues/{issue['number']}/comments", body="The drift is gone.")
    hub.send("PATCH", f"issues/{issue['number']}", state="closed")
    return f"closed {issue['html_url']}"


def _body(stack: str, drift: list[Mapping[str, str]]) -> str:
    """Return the issue's text. It has no date, so that the same drift gives the same text.

    It has no values, since a value may be a secret that somebody has put into a pod, and issues have many readers.
    """
    lines = [f"- between {each['between']}: {each['summary'] or each['what']}\n  {each['remedy']}" for each in drift]
    shown = "\n".join(lines)[:BODY_LIMIT]
    return (
        f"`python -m promotion status --stack {stack}` shows differences, with their values. This issue is updated"
        f" daily, and closed when they are gone.\n\n{FENCE}text\n{shown}\n{FENCE}"
    )
