"""Print for people, ask them, and answer scripts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any, TextIO

from promotion.errors import WRONG_USE, CommandError


@dataclass
class Console:
    """``out`` is for people. With ``json``, standard output has one JSON document and ``out`` is standard error.

    ``yes``: do not ask.
    """

    json: bool = False
    yes: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)

    @classmethod
    def of(cls, output: str, yes: bool) -> Console:
        """Return the console for ``--output`` and ``--yes``."""
        return cls(output == "json", yes, sys.stderr if output == "json" else sys.stdout)

    def say(self, text: str = "") -> None:
        """Print for people."""
        print(text, file=self.out, flush=True)

    def confirm(self) -> None:
        """Ask whether to continue, once and only at a terminal. Raises CommandError if the answer is no."""
        if self.yes or not sys.stdin.isatty():
            return
        print("continue? [y/N] ", end="", file=self.out, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("aborted; nothing was changed", WRONG_USE)
        self.yes = True

    def answer(self, text: str, document: dict[str, Any]) -> None:
        """Print the result: ``document`` for scripts, ``text`` for people."""
        if self.json:
            print(json.dumps(document, indent=2))
        else:
            self.say(text)
