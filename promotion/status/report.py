"""What a stack runs, for people and for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def status_text(stack: str, outputs: Mapping[str, Any]) -> str:
    """The public address, and of each track its image, replicas and share of the users."""
    tracks: Mapping[str, Mapping[str, Any]] = outputs.get("tracks", {})
    lines = [
        f"stack     {stack} (namespace {outputs.get('namespace')}, traffic {outputs.get('traffic')})",
        f"address   {outputs.get('url')}",
        "",
        f"{'TRACK':<9} {'REPLICAS':>8} {'SHARE':>7}  IMAGE",
    ]
    lines += [
        f"{name:<9} {track['replicas']:>8} {track['share']:>6g}%  {track['image']}"
        for name, track in sorted(tracks.items(), key=lambda item: item[0] != "stable")
    ]
    return "\n".join(lines)


def next_commands(stack: str, outputs: Mapping[str, Any]) -> str:
    """What to try next."""
    url = outputs.get("url")
    return "\n".join(
        [
            "Next:",
            f"  curl -X PUT -d firstName=Ada -d lastName=Lovelace {url}/person",
            f"  curl {url}/all",
            '  eval "$(make env)"          # pulumi, kubectl and the lab in this shell',
            f"  make canary STACK={stack}       # after an edit of the service: built, and beside stable",
            f"  make verdict STACK={stack}      # then: make promote, or make rollback",
        ]
    )
