"""A platform that several stacks share: what its own stack hands over, and how a release stack takes it up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.invokes import reason
from components.kubernetes_access import kubernetes_provider
from components.namespace import namespace
from components.release_database import ReleaseDatabase, ReleaseDatabaseArgs
from contract.errors import invalid_config
from contract.platform import ClusterAccess, Connection, Database, Platform, Registry
from contract.settings import DatabaseClientKeys, Settings

#: Stack output that release stacks read; a secret as a whole.
OUTPUT = "platform"
#: The engine's function behind StackReference. The resource would copy all outputs of the other stack into this one's
#: state, secrets included, and say what is wrong only after others have been registered.
READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"
#: What the engine says of a state in a folder (`file://`) that is read while it is written, such as this update's own.
HALF_WRITTEN = "failed to load checkpoint"
#: Seconds until it is read again; a state is written in milliseconds.
PAUSES = (0.1, 0.5, 2.0)


class SharedDatabase(BaseModel):
    """The platform's PostgreSQL server: the connection of its own service, less the password; its administrator."""

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
    """The output: the platform's cloud and namespace, its database, and the ``access`` that the cloud's file needs."""

    model_config = ConfigDict(frozen=True)

    cloud: str
    namespace: str
    database: SharedDatabase
    access: dict[str, str] = Field(repr=False)


class CloudReleaseStackKeys(DatabaseClientKeys):
    """Config keys of a stack on another's platform on a cloud; the cloud adds what has to be there beside config."""

    deletion_protection: bool = True


CloudKeys = TypeVar("CloudKeys", bound=CloudReleaseStackKeys)
ClientKeys = TypeVar("ClientKeys", bound=DatabaseClientKeys)


def connect_by_kubeconfig(
    settings: Settings[CloudKeys],
    access: Mapping[str, str],
    registry: Registry,
    load_balancer_annotations: Mapping[str, str],
) -> Connection:
    """The cluster of the access's ``kubeconfig`` and ``cluster`` (what identifies it), and the cloud's registry."""
    kubeconfig = pulumi.Output.secret(access["kubeconfig"])
    return Connection(
        kubernetes=kubernetes_provider(kubeconfig, access["cluster"], pulumi.ResourceOptions()),
        cluster=ClusterAccess(kubeconfig=kubeconfig),
        registry=registry,
        load_balancer_annotations=load_balancer_annotations,
        protect=settings.platform.deletion_protection,
        outputs={"kubeconfig": kubeconfig, "registryUrl": registry.url},
    )


def shared_output(cloud: str, platform: Platform) -> dict[str, Any]:
    """The stack output that release stacks read; none where the platform can't be shared."""
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
    """The platform that the config names. Raises pulumi.RunError, before any resource is registered."""
    name = settings.stack.platform_stack
    shared = _parsed(name, _outputs(name))
    if shared.cloud != settings.stack.cloud:
        raise _wrong(name, f"is on cloud `{shared.cloud}`; set `cloud` to that, or name another platform")
    if shared.namespace == settings.stack.namespace:
        raise invalid_config(
            [
                f"namespace = {shared.namespace!r}: is that of the platform's own stack, and a release stack has one of"
                " its own (`pulumi config set namespace NAME`)"
            ]
        )
    return shared


def stack_outputs(name: str) -> Mapping[str, Any]:
    """Outputs that a stack's last update left, this very stack's too. Raises what the engine answers."""
    for pause in PAUSES:
        try:
            return _read(name)
        except Exception as fault:  # the SDK raises nothing narrower
            if HALF_WRITTEN not in str(fault):
                raise
        time.sleep(pause)
    return _read(name)


def _read(name: str) -> Mapping[str, Any]:
    answer: Any = pulumi.runtime.invoke(READ_OUTPUTS, {"name": name})
    return answer.value["outputs"]


def _outputs(name: str) -> Mapping[str, Any]:
    try:
        return stack_outputs(name)
    except Exception as fault:  # the SDK raises nothing narrower
        said = reason(fault)
        if "unknown stack" in said:
            said = (
                "there is no such stack (`pulumi stack ls --all` lists them; one of another project is named"
                " ORGANIZATION/PROJECT/STACK)"
            )
        raise _wrong(name, said) from None


def _parsed(name: str, outputs: Mapping[str, Any]) -> SharedPlatform:
    if OUTPUT not in outputs:
        raise _wrong(
            name,
            "has no platform to share: name a stack that provisions one (has no platformStack itself), and bring it up"
            f" with this version of the program first (`pulumi up --stack {name}`)",
        )
    try:
        return SharedPlatform.model_validate(outputs[OUTPUT])
    except ValidationError:
        raise _wrong(
            name,
            "hands its platform over in another form: bring it up with this version of the program"
            f" (`pulumi up --stack {name}`)",
        ) from None


def _wrong(name: str, wrong: str) -> pulumi.RunError:
    return invalid_config([f"platformStack = {name!r}: {wrong}"])


def release_platform(settings: Settings[ClientKeys], shared: SharedPlatform, joined: Connection) -> Platform:
    """A namespace on the shared cluster and a database in the shared server: all that a release stack makes of it."""
    space = namespace(settings.stack.namespace, joined.kubernetes, platform=shared.namespace).metadata["name"]
    server = shared.database
    database = ReleaseDatabase(
        "database",
        ReleaseDatabaseArgs(
            service=settings.service.name,
            namespace=space,
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
            cluster=joined.cluster,
            protect=joined.protect,
            registry=joined.registry,
            client_image=settings.platform.database_client_image,
        ),
        kubernetes=joined.kubernetes,
    )
    return Platform(
        kubernetes=joined.kubernetes,
        namespace=space,
        registry=joined.registry,
        database=database.connection,
        load_balancer_annotations=joined.load_balancer_annotations,
        protect=joined.protect,
        outputs={
            "platformStack": settings.stack.platform_stack,
            "databaseHost": database.connection.host,
            "databaseName": database.connection.name,
            "databasePassword": database.connection.password,
            **joined.outputs,
        },
    )


def database_name(space: str) -> str:
    """Name of the database and the role of a release; one of its own for each namespace of the cluster."""
    return f"release_{space.replace('-', '_')}"
