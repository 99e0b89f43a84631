"""Stand-in for gcloud, which answers what a stack asks: a region's quotas."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from lab.layout import Lab
from lab.plugins.account import EXPIRED, Account, credentials_expired, injected_fault
from lab.plugins.gcp.kind import REGIONS, require_api
from lab.plugins.kind import ApiError

COMMAND = ["compute", "regions", "describe"]
#: The project's quotas; with the fault ``quota:Region``, those of a new project in a crowded region.
LIMITS = {"CPUS": 24.0, "SSD_TOTAL_GB": 500.0, "IN_USE_ADDRESSES": 8.0}
NEW_LIMITS = {**LIMITS, "SSD_TOTAL_GB": 250.0}


def main(arguments: Sequence[str]) -> int:
    """Print a region's quotas; return the exit code."""
    known = len(arguments) == 8 and [*arguments[:3], arguments[4], *arguments[6:]] == [
        *COMMAND,
        "--project",
        "--format",
        "json(quotas)",
    ]
    if not known:
        return _refuse("this stand-in knows only `gcloud compute regions describe REGION --project ID --format …`")
    region, project = arguments[3], arguments[5]
    if not os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN") or credentials_expired():
        return _refuse(EXPIRED)
    try:
        require_api(Account(Lab.from_environment(), "gcp"), project, "compute")
    except ApiError as error:
        return _refuse(str(error))
    if region not in REGIONS:
        return _refuse(f"The resource 'projects/{project}/regions/{region}' was not found")
    limits = NEW_LIMITS if injected_fault("Region") == "quota" else LIMITS
    print(json.dumps({"quotas": [{"metric": name, "limit": limit, "usage": 0.0} for name, limit in limits.items()]}))
    return 0


def _refuse(reason: str) -> int:
    print(f"ERROR: (gcloud.compute.regions.describe) {reason} (simulated gcloud)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
