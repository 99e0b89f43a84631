"""Read what the region's quotas leave, through the caller's gcloud: the provider has no function for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

TOOL = "gcloud"
#: Timeout of a gcloud call, in seconds.
CALL_SECONDS = 30
#: What a new stack uses at once, by quota: a node in each of three zones, which takes 2 processors and a disk of 100 GB
#: (GKE documentation, Plan quotas), and the addresses of NAT gateway and load balancer.
NEEDED: Mapping[str, int] = {"CPUS": 6, "SSD_TOTAL_GB": 300, "IN_USE_ADDRESSES": 2}
REQUEST_PAGE = "https://console.cloud.google.com/iam-admin/quotas?project="


class GcloudError(Exception):
    """Google or gcloud refused; the message is one line."""


@dataclass(frozen=True)
class Quota:
    """A region's quota: how much the project may use, and uses already."""

    metric: str
    limit: float
    usage: float


def quota_warning(project: str, region: str, token: str) -> str:
    """Return a warning of quotas that leave less than a new stack needs, or cannot be read; "" if there is none.

    It is no refusal: Autopilot may do with fewer nodes, and what is used may be an interrupted update's own.
    """
    try:
        quotas = region_quotas(project, region, token)
    except GcloudError as error:
        return f"the quotas of region {region} are not checked ({error}); docs/how-to/first-day.md shows how"
    short = [
        f"{each.metric} leaves {each.limit - each.usage:g} of {each.limit:g}, and a new stack needs"
        f" {NEEDED[each.metric]}"
        for each in quotas
        if each.metric in NEEDED and each.limit - each.usage < NEEDED[each.metric]
    ]
    if not short:
        return ""
    return (
        f"region = {region!r}: quota {'; '.join(short)}. Pods that get no node stay Pending; ask for a higher quota"
        f" ({REQUEST_PAGE}{project}) or choose another region"
    )


def region_quotas(project: str, region: str, token: str) -> list[Quota]:
    """Return the region's quotas, asked for with the provider's access token. Raises GcloudError."""
    if shutil.which(TOOL) is None:
        raise GcloudError("gcloud is not on PATH")
    try:
        done = subprocess.run(
            [TOOL, "compute", "regions", "describe", region, "--project", project, "--format", "json(quotas)"],
            env={**os.environ, "CLOUDSDK_AUTH_ACCESS_TOKEN": token, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GcloudError(f"no answer in {CALL_SECONDS} s") from None
    if done.returncode != 0:
        message = " ".join(done.stderr.rpartition("ERROR: ")[2].split()).rstrip(".")
        raise GcloudError(message or f"gcloud ended with exit code {done.returncode}")
    try:
        return [Quota(str(each["metric"]), each["limit"], each["usage"]) for each in json.loads(done.stdout)["quotas"]]
    except (ValueError, KeyError, TypeError):
        raise GcloudError("gcloud printed no quotas") from None
