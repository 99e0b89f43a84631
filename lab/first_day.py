"""The last faults of a first day: newer and retired versions, and a site that does not answer."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lab.plugins.account import FAULT_VARIABLE
from lab.rehearsal import Rehearsal, StepFailed, last_lines


def steps_beside_canary(rehearsal: Rehearsal) -> list[tuple[str, Callable[[], str]]]:
    """Return the steps in order, each with what was observed."""
    drift = rehearsal.simulation.drift
    return [
        *([(f"promotion with the fault {drift}", lambda: _refused_promotion(rehearsal))] if drift else []),
        ("roll-back while the version is not offered", lambda: _roll_back(rehearsal)),
    ]


def _roll_back(rehearsal: Rehearsal) -> str:
    """Remove the canary after an update that asked for a version that the cloud does not offer."""
    version, before = rehearsal.config("kubernetesVersion"), _account(rehearsal)
    unoffered = rehearsal.simulation.unoffered_version
    rehearsal.configure("kubernetesVersion", unoffered)
    update = rehearsal.pulumi("up", "--yes", "--skip-preview", check=False)
    if update.returncode == 0 or unoffered not in update.stdout:
        raise StepFailed(f"up ended with exit code {update.returncode}:\n{last_lines(update)}")
    result = rehearsal.run(sys.executable, "-m", "promotion", "rollback", "--stack", rehearsal.stack, "--yes")
    rehearsal.configure("kubernetesVersion", version)
    if result.returncode != 0:
        raise StepFailed(f"rollback ended with exit code {result.returncode}:\n{last_lines(result)}")
    if _account(rehearsal) != before:
        raise StepFailed("the roll-back has changed the platform")
    if tracks := sorted({*rehearsal.outputs()["tracks"]} - {"stable"}):
        raise StepFailed(f"the roll-back has left {', '.join(tracks)}")
    return "the canary is removed, and the platform is as it was"


def _refused_promotion(rehearsal: Rehearsal) -> str:
    """Check that a promotion does not change the platform as a side effect."""
    before = _account(rehearsal)
    command = ("-m", "promotion", "promote", "--stack", rehearsal.stack, "--yes", "--force")
    result = rehearsal.run(sys.executable, *command, extra={FAULT_VARIABLE: rehearsal.simulation.drift})
    lines = [line.strip() for line in result.stderr.splitlines()]
    errors = [line for line in lines if "would change the release and the platform" in line]
    if result.returncode != 2 or not errors:
        raise StepFailed(f"promote ended with exit code {result.returncode}:\n{last_lines(result)}")
    if _account(rehearsal) != before or "canary" not in rehearsal.outputs()["tracks"]:
        raise StepFailed("the refused promotion has changed something")
    return errors[0]


def begin_destroy(rehearsal: Rehearsal) -> str:
    """Destroy the stack while one deletion fails. The next step repeats the command, as a user would."""
    kind = rehearsal.simulation.undeletable
    rehearsal.configure("deletionProtection", "false")
    rehearsal.pulumi("up", "--yes", "--skip-preview")
    fault = {FAULT_VARIABLE: f"undeletable:{kind}"}
    result = rehearsal.pulumi("destroy", "--yes", "--skip-preview", check=False, extra=fault)
    errors = [line.strip() for line in result.stdout.splitlines() if "no answer from a site" in line]
    if result.returncode == 0 or not errors:
        raise StepFailed(f"destroy ended with exit code {result.returncode}:\n{last_lines(result)}")
    if not rehearsal.account.records(kind):
        raise StepFailed(f"the account has lost its {kind}")
    return errors[0]


def _account(rehearsal: Rehearsal) -> list[tuple[str, str, object]]:
    """Return what the account has, apart from what changes by itself, such as logins."""
    return [(each.type, each.id, each.inputs) for each in rehearsal.account.records()]
