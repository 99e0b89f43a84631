"""``down``: destroy all that a stack made."""

from __future__ import annotations

import argparse

from promotion.arguments import Commands, command, wait_argument
from promotion.errors import DONE
from promotion.operations import config_edits as moves
from promotion.operations.work import Work, wait_seconds, working
from promotion.state import engine as stacks


def register(commands: Commands) -> None:
    wait_argument(command(commands, "down", run, "destroy all that a stack made; its file stays"))


def run(options: argparse.Namespace) -> int:
    with working(options, "down") as work:
        try:
            stack = work.stack
        except stacks.MissingStackError:
            work.say(f"stack `{work.name}` does not exist: there is nothing to destroy{_anew(work)}")
            return DONE
        stacks.down(stack, wait_seconds(options))
        work.say(f"stack `{work.name}` is gone; {work.file.path.name} stays{_anew(work)}")
    return DONE


def _anew(work: Work) -> str:
    """Where images are built from source, their registry may go with the stack: the next `up` builds anew."""
    release = work.release
    edits = {**moves.without_canary(release), "stableImage": None, "canaryVerdict": None}
    text = work.file.edited(edits)
    if release.build_from_source != "always" or text == work.file.text():
        return ""
    work.file.write(text)
    return "; the images that it ran are out of its file, so the next `up` builds from source again"
