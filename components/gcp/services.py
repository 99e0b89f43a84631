"""The APIs that the project needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pulumi
import pulumi_gcp as gcp
from pulumi.runtime import invoke_async

from components.component import Component
from components.gcp.project import is_disabled, unknown_region
from components.invokes import reason

#: Each creation of a `projects.Service` ends with a question to this API, so it comes before the others.
FIRST = "cloudresourcemanager"
#: APIs for network, cluster, images and their scanning, database and its private address, DNS, IAM and certificates.
SERVICES = (
    FIRST,
    "compute",
    "container",
    "artifactregistry",
    "containerscanning",
    "sqladmin",
    "servicenetworking",
    "dns",
    "iam",
    "certificatemanager",
)
REGIONS = "gcp:compute/getRegions:getRegions"
#: Seconds between two questions to an API, and seconds after which a refusal is final ("a few minutes", says Google).
POLL_SECONDS, USABLE_SECONDS = 3.0, 600


class ProjectServices(Component):
    """Enabled APIs that answer. They stay enabled after `destroy`, because others in the project may use them.

    ``warning`` is called once they answer, before any other resource is created. Its text is printed, unless it is "".
    """

    #: The APIs, for other resources to wait for until each of them answers.
    enabled: Sequence[pulumi.Input[pulumi.Resource]]

    def __init__(
        self,
        name: str,
        project: str,
        region: str,
        warning: Callable[[], str] = lambda: "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gcp:ProjectServices", name, opts)
        first = self._service(FIRST)
        services = [first, *(self._service(each, first) for each in SERVICES if each != FIRST)]
        self.enabled = services
        if not pulumi.runtime.is_dry_run():  # a preview enables nothing
            answers = pulumi.Output.all(*(each.id for each in services)).apply(
                lambda _: wait_until_usable(project, region, warning)
            )
            self.enabled = [answers.apply(lambda _, service=service: service) for service in services]
        self.register_outputs({"services": list(SERVICES)})

    def _service(self, service: str, *after: pulumi.Resource) -> gcp.projects.Service:
        return gcp.projects.Service(
            service,
            service=f"{service}.googleapis.com",
            disable_on_destroy=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


async def wait_until_usable(project: str, region: str, warning: Callable[[], str]) -> None:
    """Ask each API until it answers, because for minutes after it is enabled it may refuse every request.

    Then call ``warning`` and print its text.
    Raises pulumi.RunError if one still refuses after `USABLE_SECONDS`, or the region does not exist.
    """
    questions = _questions(project, region)
    answers = await asyncio.gather(*(_wait_for(function, given, project) for function, given in questions.items()))
    regions = dict(zip(questions, answers, strict=True))[REGIONS].get("names")
    # A new project could not be asked before.
    if regions and (error := unknown_region(region, regions)):
        raise pulumi.RunError(f"stack `{pulumi.get_stack()}`: {error}")
    if text := await asyncio.get_running_loop().run_in_executor(None, warning):
        pulumi.log.warn(text)


def _questions(project: str, region: str) -> Mapping[str, dict[str, str]]:
    """Return a function of the provider for each API whose resources follow at once, with its arguments.

    Image scanning is missing: it has no function, and nothing waits for it.
    """
    return {
        "gcp:organizations/getProject:getProject": {"projectId": project},
        REGIONS: {"project": project},
        "gcp:container/getEngineVersions:getEngineVersions": {"project": project, "location": region},
        "gcp:artifactregistry/getLocations:getLocations": {"project": project},
        "gcp:sql/getTiers:getTiers": {"project": project},
        # Asks for a domain that does not exist: any answer but "disabled" will do.
        "gcp:servicenetworking/getPeeredDnsDomain:getPeeredDnsDomain": {
            "project": project,
            "network": "none",
            "name": "none",
            "service": "servicenetworking.googleapis.com",
        },
        "gcp:dns/getManagedZones:getManagedZones": {"project": project},
        "gcp:serviceaccount/getS:getS": {"project": project},
        "gcp:certificatemanager/getCertificates:getCertificates": {},
    }


async def _wait_for(function: str, arguments: dict[str, str], project: str) -> dict[str, Any]:
    """Return the function's answer; empty if it fails for another reason than its API."""
    deadline = time.monotonic() + USABLE_SECONDS
    options = pulumi.InvokeOptions(version=version("pulumi-gcp"))  # as of the resources: the same plugin answers
    while True:
        try:
            return await invoke_async(function, arguments, options)
        except Exception as error:  # the SDK raises nothing narrower
            if not is_disabled(error):
                return {}  # whatever else is wrong, the resource that needs the API reports it
            if time.monotonic() > deadline:
                raise pulumi.RunError(
                    f"gcp:project = {project!r}: an enabled API still refuses requests after {USABLE_SECONDS} seconds"
                    f" ({reason(error)}); wait a few minutes and run the command again"
                ) from None
            await asyncio.sleep(POLL_SECONDS)
