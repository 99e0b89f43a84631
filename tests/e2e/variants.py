"""Versions of the addressbook for trials: the good image plus one file that makes it misbehave in one way."""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGES = "/opt/addressbook/lib/python3.11/site-packages"
#: The service imports the file first. Its compiled form is removed, so that Python reads the changed source.
DOCKERFILE = """\
FROM {image}
USER 0:0
RUN echo 'import behaviour' >> {packages}/addressbook/__init__.py && rm {packages}/addressbook/__pycache__/__init__.*
COPY --chmod=0644 behaviour.py {packages}/
USER 10001:10001
"""

ANSWERS = """
import asyncio, random
from addressbook.api import Api
from addressbook.exchange import Answer
answer = Api.__call__
async def behave(self, request):
{behaviour}
    return await answer(self, request)
Api.__call__ = behave
"""
REFUSE = """
        return Answer(b"{body}", {status})
"""

NO_LUCK = REFUSE.format(status=500, body="no luck")
NOW_AND_THEN = "request.path not in ('/ready', '/live') and random.random() < 0.05"
#: True of requests that Kubernetes' API passes on, as in the verdict's round trip. Sparing them leaves the decision to
#: the users' requests: 4 requests of which 5 % fail would otherwise end 19 % of the trials early.
THROUGH_API = "any(name == b'x-forwarded-uri' for name, _ in request.headers)"

BEHAVIOUR = {
    "good": "",
    # Any other version answers 404.
    "tells its version": ANSWERS.format(
        behaviour="    if request.path == '/version':" + REFUSE.format(status=200, body="new")
    ),
    "crashes at start": "import sys\nif 'serve' in sys.argv:\n    sys.exit('no more disk for the journal')\n",
    "crashes after a while": (
        "import os, sys, threading\nif 'serve' in sys.argv:\n    threading.Timer(12, os._exit, [70]).start()\n"
    ),
    "never ready": ANSWERS.format(
        behaviour="    if request.path == '/ready':" + REFUSE.format(status=503, body="warming up")
    ),
    "missing secret": "import os, sys\nif 'serve' in sys.argv:\n    os.environ['PAYMENT_TOKEN']\n",
    "too much memory": "import sys\nif 'serve' in sys.argv:\n    hoard = b'x' * (400 << 20)\n",
    "errors to 5 % of users": ANSWERS.format(behaviour=f"    if {NOW_AND_THEN} and not {THROUGH_API}:{NO_LUCK}"),
    "slower by half a second": ANSWERS.format(behaviour="    await asyncio.sleep(0.5)"),
    "loses a route": ANSWERS.format(
        behaviour=f"    if request.path == '/person' and not {THROUGH_API}:\n        request.path = '/lost'"
    ),
    "broken migration": "import sys\nif 'migrate' in sys.argv:\n    sys.exit('relation person has no column email')\n",
}


def write(folder: Path, image: str, behaviour: str, edition: object = "") -> None:
    """Turn the folder into a build context on top of ``image``; each ``edition`` builds a different image."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image, packages=PACKAGES))
    (folder / "behaviour.py").write_text(f"# edition {edition}\n{BEHAVIOUR[behaviour]}")
