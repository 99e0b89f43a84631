"""State that is kept in a folder, and what a killed engine leaves half-written there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What the engine says of a file whose attributes end too early.
CUT_OFF = "EOF"
#: Seconds in which an engine that is at work has long written what it has begun.
AT_WORK_SECONDS = 0.5


def mended(backend: str, project: Path) -> list[Path]:
    """Remove file attributes that were cut off in the middle; which they were.

    The engine replaces a state file in one step, but writes what it notes of the file (``NAME.attrs``) in place. If it
    is killed meanwhile, it reads the file no more; without the attributes it does. ``backend`` is the URL of the state
    (only a ``file:`` one has such files), and ``project`` the folder that a relative one starts from.
    """
    place = urlsplit(backend)
    if place.scheme != "file":
        return []
    folder = project / Path(unquote(place.netloc + place.path)).expanduser() / ".pulumi"
    suspects = [file for file in folder.rglob("*.attrs") if _torn(file)]
    if suspects:
        time.sleep(AT_WORK_SECONDS)
    found = [file for file in suspects if _torn(file)]
    for file in found:
        file.unlink(missing_ok=True)
    return found


def _torn(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return True
    except OSError:
        pass  # it has just gone, or is somebody else's
    return False
