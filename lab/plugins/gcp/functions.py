"""The provider's functions: what a project is, what Google Cloud offers, what a server lists."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from lab.plugins.account import Account
from lab.plugins.gcp.kind import REGIONS, numeric_id, require_api
from lab.plugins.gcp.kubernetes import OFFERED
from lab.plugins.kind import ApiError, values_at
from lab.plugins.properties import Properties
from lab.plugins.simulated import Function


class Cloud(Protocol):
    """What the functions use of the simulated cloud."""

    account: Account
    configuration: Properties


def _project(cloud: Cloud, given: Properties, api: str) -> str:
    """Return the project that the function asks about. Raises ApiError unless its API answers there."""
    project = str(given.get("project") or given.get("projectId") or cloud.configuration.get("project") or "")
    require_api(cloud.account, project, api)
    return project


def _client_config(cloud: Cloud, given: Properties) -> Properties:
    del given
    project, region, zone = (str(cloud.configuration.get(name) or "") for name in ("project", "region", "zone"))
    return {
        "id": f'projects/"{project}"/regions/"{region}"/zones/""',
        "project": project,
        "region": region,
        "zone": zone,
        # As from Google, a new one in each run; there, it is valid for an hour.
        "accessToken": f"ya29.{secrets.token_urlsafe(96)}",
        "defaultLabels": {},
    }


def _get_project(cloud: Cloud, given: Properties) -> Properties:
    project = _project(cloud, given, "cloudresourcemanager")
    return {"id": f"projects/{project}", "projectId": project, "number": numeric_id(12), "billingAccount": "0A-0B-0C"}


def _project_service(cloud: Cloud, given: Properties) -> Properties:
    project = _project(cloud, given, "serviceusage")
    return {"id": f"{project}/{given['service']}", "project": project}


def _regions(cloud: Cloud, given: Properties) -> Properties:
    project = _project(cloud, given, "compute")
    return {"id": f"projects/{project}", "project": project, "names": list(REGIONS)}


def _engine_versions(cloud: Cloud, given: Properties) -> Properties:
    _project(cloud, given, "container")
    return {"latestMasterVersion": OFFERED[-1], "validMasterVersions": list(reversed(OFFERED))}


def _cluster(cloud: Cloud, given: Properties) -> Properties:
    """Answer as the provider does, which has lists where the resource has single objects."""
    project = _project(cloud, given, "container")
    id = f"projects/{project}/locations/{given.get('location')}/clusters/{given['name']}"
    found = cloud.account.get("Cluster", id)
    if found is None:
        raise ApiError(f"{id} not found")
    inputs, outputs = found.inputs, found.outputs
    accounts = values_at(inputs, "clusterAutoscaling.autoProvisioningDefaults.serviceAccount") or ["default"]
    nodes = [{"serviceAccount": each} for each in accounts]
    return {
        "id": id,
        "project": project,
        "endpoint": outputs["endpoint"],
        "masterAuths": [outputs["masterAuth"]],
        "masterVersion": outputs["masterVersion"],
        "network": inputs.get("network", ""),
        "subnetwork": inputs.get("subnetwork", ""),
        "nodeConfigs": nodes,
        "nodePools": [{"name": "default-pool", "nodeConfigs": nodes}],
    }


def _peered_dns_domain(cloud: Cloud, given: Properties) -> Properties:
    project = _project(cloud, given, "servicenetworking")
    raise ApiError(f"404 the network {given['network']} of project {project} has no domain {given['name']}")


def _ca_certs(cloud: Cloud, given: Properties) -> Properties:
    project = _project(cloud, given, "sqladmin")
    server = cloud.account.get("DatabaseInstance", str(given["instance"]))
    if server is None:
        raise ApiError(f"404 the instance {given['instance']} does not exist in project {project}")
    certificates = server.outputs["serverCaCerts"]
    return {"project": project, "activeVersion": certificates[0]["sha1Fingerprint"], "certs": certificates}


def _listing(api: str, result: str) -> Function:
    """Return a function that lists nothing, if the API answers."""

    def answer(cloud: Any, given: Properties) -> Properties:
        return {"id": f"projects/{_project(cloud, given, api)}", result: []}

    return answer


FUNCTIONS: Mapping[str, Function] = {
    "gcp:organizations/getClientConfig:getClientConfig": _client_config,
    "gcp:organizations/getProject:getProject": _get_project,
    "gcp:projects/getProjectService:getProjectService": _project_service,
    "gcp:compute/getRegions:getRegions": _regions,
    "gcp:container/getCluster:getCluster": _cluster,
    "gcp:container/getEngineVersions:getEngineVersions": _engine_versions,
    "gcp:servicenetworking/getPeeredDnsDomain:getPeeredDnsDomain": _peered_dns_domain,
    "gcp:artifactregistry/getLocations:getLocations": _listing("artifactregistry", "locations"),
    "gcp:sql/getCaCerts:getCaCerts": _ca_certs,
    "gcp:sql/getTiers:getTiers": _listing("sqladmin", "tiers"),
    "gcp:dns/getManagedZones:getManagedZones": _listing("dns", "managedZones"),
    "gcp:serviceaccount/getS:getS": _listing("iam", "accounts"),
    "gcp:certificatemanager/getCertificates:getCertificates": _listing("certificatemanager", "certificates"),
}
