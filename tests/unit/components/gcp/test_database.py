"""Cloud SQL for PostgreSQL: size, backups, name and rights."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pulumi
import pytest

from components.gcp.database import private_name
from tests.unit.components.gcp.simulated import CA_CERTS, HOST, NEXT_CA, ROOT_CA, google
from tests.unit.components.graphs import all_before, secret_data


class Refusal(grpc.RpcError):
    """A function's failure as the engine reports it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invocation of getCaCerts returned an error: 403 forbidden."


def test_high_availability_adds_a_standby(graph: Callable[..., Any]):
    assert google(graph(highAvailability=True), "DatabaseInstance").inputs["settings"]["availabilityType"] == "REGIONAL"


def test_the_edition_follows_the_size(graph: Callable[..., Any]):
    settings = google(graph(databaseSize="db-perf-optimized-N-2"), "DatabaseInstance").inputs["settings"]
    assert settings["edition"] == "ENTERPRISE_PLUS"


def test_backups_outlive_the_server_unless_declined(graph: Callable[..., Any]):
    settings = google(graph(), "DatabaseInstance").inputs["settings"]
    assert settings["backupConfiguration"]["enabled"] is True
    assert settings["backupConfiguration"]["pointInTimeRecoveryEnabled"] is True
    assert settings["finalBackupConfig"] == {"enabled": True, "retentionDays": 30}
    assert settings["retainBackupsOnDelete"] is True
    kept = google(graph(deletionProtection=False), "DatabaseInstance").inputs["settings"]
    assert kept["finalBackupConfig"]["enabled"] is True, "destroy keeps production's data"
    deleted = google(graph(deletionProtection=False, finalSnapshot=False), "DatabaseInstance").inputs["settings"]
    assert (deleted["finalBackupConfig"], deleted["retainBackupsOnDelete"]) == ({"enabled": False}, False)


def test_the_service_connects_to_the_name_in_the_certificate(graph: Callable[..., Any]):
    stack = graph()
    address = google(stack, "DatabaseInstance").inputs["settings"]["ipConfiguration"]
    assert address["sslMode"] == "ENCRYPTED_ONLY"
    assert address["serverCaMode"] == "GOOGLE_MANAGED_CAS_CA", "a server's own authority names no host"
    assert address["serverCertificateRotationMode"] == "AUTOMATIC_ROTATION_DURING_MAINTENANCE", "it lasts a year"
    record, zone = google(stack, "RecordSet"), google(stack, "ManagedZone")
    assert (record.inputs["name"], record.inputs["type"]) == (f"{HOST}.", "A")
    assert record.inputs["rrdatas"] == ["10.64.32.3"]
    assert zone.inputs["visibility"] == "private"
    assert zone.inputs["privateVisibilityConfig"] == {"networks": [{"networkUrl": "network-id"}]}
    assert record.inputs["name"].endswith(f".{zone.inputs['dnsName']}")
    params = stack.one("Secret", "db-params")
    assert secret_data(params, "DB_HOST") == HOST
    assert secret_data(params, "DB_SSL") == "true"
    assert secret_data(params, "DB_CA") == ROOT_CA
    assert secret_data(params, "DB_PORT") == "5432"
    assert secret_data(params, "DB_USER") == "demouser"
    assert secret_data(params, "DB_PASSWORD") == "password of database-user"
    assert record.urn in all_before(stack, params), "the name resolves before pods use it"


def test_pods_trust_the_next_authority_before_it_is_used(graph: Callable[..., Any], cloud: Any):
    def trusted() -> str:
        return secret_data(graph().one("Secret", "db-params"), "DB_CA")

    both = "\n".join(sorted((ROOT_CA, NEXT_CA)))
    cloud.functions[CA_CERTS] = lambda _: {"certs": [{"cert": f"{NEXT_CA}\n"}, {"cert": ROOT_CA}]}
    assert trusted() == both
    cloud.functions[CA_CERTS] = lambda _: {"certs": [{"cert": ROOT_CA}, {"cert": NEXT_CA}]}
    assert trusted() == both, "another order restarts no pod"


def test_an_unreadable_list_of_authorities_is_a_warning(
    graph: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch
):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))

    def refuse(_: Any) -> Any:
        raise Refusal

    cloud.functions[CA_CERTS] = refuse
    assert secret_data(graph().one("Secret", "db-params"), "DB_CA") == ROOT_CA
    (warning,) = warnings
    assert "its list of certificate authorities cannot be read (403 forbidden)" in warning


def test_a_server_without_a_private_name_is_refused():
    public = SimpleNamespace(name="x.sql.goog.", connection_type="PUBLIC", dns_scope="INSTANCE")
    private = SimpleNamespace(name=HOST, connection_type="PRIVATE_SERVICES_ACCESS", dns_scope="INSTANCE")
    assert private_name([public, private]) == f"{HOST}."  # pyright: ignore[reportArgumentType]
    with pytest.raises(pulumi.RunError, match="could not be verified"):
        private_name([public])  # pyright: ignore[reportArgumentType]


def test_the_size_is_known_in_a_preview_of_an_empty_stack(first_preview: Callable[[], Any]):
    stack, _ = first_preview()
    assert google(stack, "DatabaseInstance").inputs["settings"]["tier"] == "db-custom-1-3840"


def test_the_service_gets_its_rights_from_the_administrator(graph: Callable[..., Any]):
    stack = graph()
    rights = stack.one("Job", "database-rights")
    assert rights.urn in stack.one("Secret", "db-params").dependencies
    login = stack.one("Secret", "database-administrator").inputs["stringData"]
    assert (login["PGUSER"], login["PGHOST"]) == ("postgres", HOST)
    assert login["PGPASSWORD"] == google(stack, "DatabaseInstance").inputs["rootPassword"]
    assert login["PGPASSWORD"] != google(stack, "User").inputs["password"]
