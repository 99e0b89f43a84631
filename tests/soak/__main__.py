"""Run the long tests: every part, one part by name, or the parts whose files have changed since they last passed."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("parts.toml")
#: A part that takes this many times its estimate is stopped.
PATIENCE = 2.0
#: Seconds that an interrupted part has to remove its stacks.
CLEAN_UP_SECONDS = 180


@dataclass(frozen=True)
class Part:
    """One row of the table, and what is known of its last pass."""

    name: str
    tests: Sequence[str]
    paths: Sequence[str]
    estimate: float
    """Minutes, from the table."""

    @property
    def record(self) -> Path:
        """File that outlives the checkout: the hashes and the duration of the last pass."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "addressbook-lab" / "soak" / f"{self.name}.json"

    def last_pass(self) -> dict[str, Any]:
        try:
            return json.loads(self.record.read_text())
        except (OSError, ValueError):
            return {"files": {}, "minutes": self.estimate}

    @property
    def minutes(self) -> float:
        return float(self.last_pass()["minutes"])

    def changed(self) -> float:
        """Return the share of the part's files (0 to 1) that differ from its last pass."""
        before, now = self.last_pass()["files"], hashes(self.paths)
        names = before.keys() | now.keys()
        return sum(before.get(name) != now.get(name) for name in names) / max(1, len(names))

    def run(self, options: Sequence[str], seconds: float) -> bool:
        """Run the part's tests and record a pass; return whether they passed."""
        files, began = hashes(self.paths), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "--no-unexpected-skips", *self.tests, *options], cwd=ROOT
        )
        try:
            passed = process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            passed = False
            process.send_signal(signal.SIGINT)  # pytest tears its fixtures down and prints its summary
            try:
                process.wait(CLEAN_UP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if passed:
            self.record.parent.mkdir(parents=True, exist_ok=True)
            minutes = round((time.monotonic() - began) / 60, 1)
            self.record.write_text(json.dumps({"minutes": minutes, "files": files}))
        return passed


def hashes(paths: Sequence[str], root: Path = ROOT) -> dict[str, str]:
    """Return a hash of each file under the paths (globs are allowed), except caches."""
    files = [file for path in paths for match in root.glob(path) for file in (match, *match.rglob("*"))]
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def parts(table: Path = TABLE) -> list[Part]:
    rows: Mapping[str, Any] = tomllib.loads(table.read_text())
    return [Part(name, row["tests"], row["paths"], row["minutes"]) for name, row in rows.items()]


def plan(candidates: Sequence[Part], minutes: float) -> tuple[list[Part], list[str]]:
    """Choose the changed parts that fit into the time, the most changed first; explain each choice in a line."""
    shares = {part.name: part.changed() for part in candidates}
    chosen: list[Part] = []
    lines: list[str] = []
    for part in sorted(candidates, key=lambda part: -shares[part.name]):
        left = minutes - sum(each.minutes for each in chosen)
        if not shares[part.name]:
            lines.append(f"soak: skip {part.name}: unchanged since it last passed")
        elif part.minutes > left:
            lines.append(f"soak: skip {part.name}: takes {part.minutes:g} min, {left:g} min left")
        else:
            chosen.append(part)
            why = f"{shares[part.name]:.0%} of its files changed" if part.record.exists() else "never passed here"
            lines.append(f"soak: run {part.name}, {part.minutes:g} min: {why}")
    return chosen, lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("part", nargs="?", choices=[part.name for part in parts()], help="run this part alone")
    parser.add_argument("--changed", type=float, metavar="MINUTES", help="run changed parts as far as the time allows")
    parser.add_argument("--plan", action="store_true", help="say what would run, and run nothing")
    options, for_pytest = parser.parse_known_args()
    chosen = [part for part in parts() if options.part in (None, part.name)]
    deadline = float("inf")
    if options.changed is not None:
        chosen, lines = plan(chosen, options.changed)
        deadline = time.monotonic() + 60 * options.changed
        if chosen or options.plan:  # the last output of a run without parts stays pytest's summary
            print("\n".join(lines), flush=True)
    if options.plan:
        return 0
    failed: list[str] = []
    for number, part in enumerate(chosen):
        if number and time.monotonic() + 60 * part.minutes > deadline:
            continue  # an earlier part took longer than planned
        print(f"\nsoak: {part.name} ({number + 1} of {len(chosen)})", flush=True)
        if not part.run(for_pytest, 60 * PATIENCE * part.minutes):
            failed.append(part.name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
