"""Platforms that several stacks share: the output of the platform's stack, and a release stack's use of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.invokes import reason
from components.kubernetes_access import kubernetes_provider
from components.namespace import namespace
from components.pull_secret import with_pull_secret
from components.release_database import ReleaseDatabase, ReleaseDatabaseArgs
from contract.errors import invalid_config
from contract.platform import EXPIRES, PLATFORM_STACK, ClusterAccess, Connection, Database, Entrance, Platform, Registry
from contract.settings import DatabaseClientKeys, Settings

#: Stack output that release stacks read. All of it is secret.
OUTPUT = "platform"
#: The engine's function behind StackReference. The resource itself would copy all outputs of the other stack, secrets
#: included, into this one's state, and would report errors only after other resources are registered.
READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"
#: The engine's error for a `file://` state that is read while it is written, such as this update's own.
HALF_WRITTEN = "failed to load checkpoint"
#: Seconds between retries. Writing a state takes milliseconds.
PAUSES = (0.1, 0.5, 2.0)


class SharedDatabase(BaseModel):
    """The platform's PostgreSQL server: its own service's connection without the password, and its administrator."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    name: str
    user: str
    ssl: bool
    ca: str | None = None
    administrator: str
    administrator_password: str = Field(repr=False)


class SharedPlatform(BaseModel):
    """The stack output: the platform's cloud, namespace and database, and the ``access`` that ``connect`` needs."""

    model_config = ConfigDict(frozen=True)

    cloud: str
    namespace: str
    database: SharedDatabase
    access: dict[str, str] = Field(repr=False)


class CloudReleaseStackKeys(DatabaseClientKeys):
    """Config keys of a release stack on any cloud. Each cloud adds its prerequisites."""

    deletion_protection: bool = Field(
        default=True,
        description="The engine refuses to delete the public Service and to drop the stack's database. Set it to false"
        " only to take the stack down.",
    )


CloudKeys = TypeVar("CloudKeys", bound=CloudReleaseStackKeys)
ClientKeys = TypeVar("ClientKeys", bound=DatabaseClientKeys)


def connect_by_kubeconfig(
    settings: Settings[CloudKeys],
    access: Mapping[str, str],
    registry: Registry,
    entrance: Entrance,
    *,
    has_zones: bool,
) -> Connection:
    """Connect to the cluster of the access's ``kubeconfig``; its ``cluster`` identifies the cluster."""
    kubeconfig = pulumi.Output.secret(access["kubeconfig"])
    return Connection(
        kubernetes=kubernetes_provider(kubeconfig, access["cluster"], pulumi.ResourceOptions()),
        cluster=ClusterAccess(kubeconfig=kubeconfig),
        registry=registry,
        entrance=entrance,
        has_zones=has_zones,
        protect=settings.platform.deletion_protection,
        outputs={"kubeconfig": kubeconfig, "registryUrl": registry.url},
    )


def shared_output(cloud: str, platform: Platform) -> dict[str, Any]:
    """Return the stack output that release stacks read; empty if the platform cannot be shared."""
    if platform.administrator is None:
        return {}
    database = platform.database
    shared = {
        "cloud": cloud,
        "namespace": platform.namespace,
        "database": {
            "host": database.host,
            "port": database.port,
            "name": database.name,
            "user": database.user,
            "ssl": database.ssl,
            **({} if database.ca is None else {"ca": database.ca}),
            "administrator": platform.administrator.user,
            "administrator_password": platform.administrator.password,
        },
        "access": dict(platform.access),
    }
    return {OUTPUT: pulumi.Output.secret(shared)}


def shared_platform(settings: Settings[Any]) -> SharedPlatform:
    """Return the platform that `platformStack` names.

    Raises pulumi.RunError, before any resource is registered, if there is none or it does not fit this stack.
    """
    name = settings.stack.platform_stack
    shared = _parsed(name, _outputs(name))
    if shared.cloud != settings.stack.cloud:
        raise _invalid_reference(
            name, f"is on cloud `{shared.cloud}`; set `cloud` to {shared.cloud}, or name another platform"
        )
    if shared.namespace == settings.stack.namespace:
        raise invalid_config(
            [
                f"namespace = {shared.namespace!r}: belongs to the platform's own stack; choose another"
                " (`pulumi config set namespace NAME`)"
            ]
        )
    return shared


def stack_outputs(name: str) -> Mapping[str, Any]:
    """Return the outputs of a stack's last update; works for this stack too. Raises the engine's error."""
    for pause in PAUSES:
        try:
            return _read(name)
        except Exception as error:  # the SDK raises nothing narrower
            if HALF_WRITTEN not in str(error):
                raise
        time.sleep(pause)
    return _read(name)


def own_outputs() -> Mapping[str, Any]:
    """Return the outputs of this stack's last update; none before the first. Raises the engine's error."""
    organization = pulumi.get_organization() or "organization"  # the engine's own placeholder
    return stack_outputs("/".join((organization, pulumi.get_project(), pulumi.get_stack())))


def _read(name: str) -> Mapping[str, Any]:
    result: Any = pulumi.runtime.invoke(READ_OUTPUTS, {"name": name})
    return result.value["outputs"]


def _outputs(name: str) -> Mapping[str, Any]:
    try:
        return stack_outputs(name)
    except Exception as error:  # the SDK raises nothing narrower
        message = reason(error)
        if "unknown stack" in message:
            message = (
                "there is no such stack; `pulumi stack ls --all` lists them (name one of another project as"
                " ORGANIZATION/PROJECT/STACK)"
            )
        raise _invalid_reference(name, message) from None


def _parsed(name: str, outputs: Mapping[str, Any]) -> SharedPlatform:
    if OUTPUT not in outputs:
        raise _invalid_reference(
            name,
            "has no platform to share; name a stack without a platformStack of its own, and update it with this version"
            f" of the program (`pulumi up --stack {name}`)",
        )
    try:
        return SharedPlatform.model_validate(outputs[OUTPUT])
    except ValidationError:
        raise _invalid_reference(
            name,
            f"was last updated by another version of the program; update it with this one (`pulumi up --stack {name}`)",
        ) from None


def _invalid_reference(name: str, problem: str) -> pulumi.RunError:
    return invalid_config([f"platformStack = {name!r}: {problem}"])


def release_platform(settings: Settings[ClientKeys], shared: SharedPlatform, connection: Connection) -> Platform:
    """Declare a release stack's own part of a shared platform: a namespace and a database."""
    stack = settings.stack
    ends = {EXPIRES: stack.expires, PLATFORM_STACK: stack.platform_stack} if stack.expires else {}
    own_namespace = namespace(stack.namespace, connection.kubernetes, shared.namespace, ends).metadata["name"]
    registry = with_pull_secret(connection.registry, own_namespace, connection.kubernetes)
    server = shared.database
    database = ReleaseDatabase(
        "database",
        ReleaseDatabaseArgs(
            service=settings.service.name,
            namespace=own_namespace,
            name=database_name(settings.stack.namespace),
            server=Database(
                host=server.host,
                port=server.port,
                name=server.name,
                user=server.administrator,
                password=pulumi.Output.secret(server.administrator_password),
                ssl=server.ssl,
                ca=server.ca,
            ),
            server_user=server.user,
            cluster=connection.cluster,
            protect=connection.protect,
            registry=registry,
            client_image=settings.platform.database_client_image,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
            server_is_private=connection.private_database,
        ),
        kubernetes=connection.kubernetes,
    )
    return Platform(
        kubernetes=connection.kubernetes,
        cluster=connection.cluster,
        namespace=own_namespace,
        registry=registry,
        database=database.connection,
        entrance=connection.entrance,
        has_zones=connection.has_zones,
        pod_identity=connection.pod_identity(own_namespace),
        protect=connection.protect,
        outputs={
            "platformStack": settings.stack.platform_stack,
            "databaseHost": database.connection.host,
            "databaseName": database.connection.name,
            "databasePassword": database.connection.password,
            **connection.outputs,
        },
    )


def database_name(namespace_name: str) -> str:
    """Return the name of a release's database and role, unique for each namespace of the cluster."""
    return f"release_{namespace_name.replace('-', '_')}"
