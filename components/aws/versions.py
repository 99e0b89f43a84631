"""Which versions of Kubernetes and PostgreSQL AWS offers, upgrades to, and supports at the normal price."""

from __future__ import annotations

import datetime

import pulumi
import pulumi_aws as aws

from components.aws.live import Live
from components.invokes import ask
from contract.errors import invalid_config

#: AWS announces the end of a version's support this many days ahead (EKS user guide, version lifecycle).
NOTICE_DAYS = 60
#: A control plane costs 0.60 instead of 0.10 dollars an hour then (EKS pricing).
EXTENDED_PRICE = "six times the price"
#: Standard support of PostgreSQL's major version N on RDS ends with February of this year plus N (release calendar of
#: RDS for PostgreSQL: 12 in 2025, 14 in 2027).
STANDARD_SUPPORT_ENDS = 2013


def check_versions(kubernetes: str, postgres: str, found: Live, opts: pulumi.InvokeOptions) -> None:
    """Warn of versions in extended support; raise pulumi.RunError for versions that AWS would refuse.

    ``kubernetes`` and ``postgres`` are the configured versions, both of which mean "at least".
    """
    offered = ask(
        lambda: aws.eks.get_cluster_versions(opts=opts),
        "Kubernetes versions of EKS",
        "the caller needs the right eks:DescribeClusterVersions",
    ).cluster_versions
    ends = {each.cluster_version: each.end_of_standard_support_date[:10] for each in offered}
    today = datetime.date.today()
    errors = [
        kubernetes_error(kubernetes, found.cluster_version, list(ends)),
        postgres_error(postgres, found.database_version, opts),
    ]
    if any(errors):
        raise invalid_config([each for each in errors if each])
    for warning in (
        kubernetes_warning(max(kubernetes, found.cluster_version, key=number), ends, today),
        postgres_warning(major(max(postgres, found.database_version, key=number)), today),
    ):
        if warning:
            pulumi.warn(warning)


def number(version: str) -> tuple[int, ...]:
    """Return a version for comparisons: (1, 34) of 1.34, and () of an empty one."""
    return tuple(int(part) for part in version.split(".") if part)


def major(version: str) -> str:
    """Return the major version of PostgreSQL: 15 of 15.10."""
    return version.partition(".")[0]


def satisfies(live: str, wanted: str) -> bool:
    """Return whether a version that runs is the wanted one or newer. A wanted major version has any minor one."""
    return number(live)[: len(number(wanted))] >= number(wanted)


def kubernetes_error(wanted: str, live: str, offered: list[str]) -> str:
    """Return why EKS would refuse the version for a new cluster, or for the one that runs; "" if it would not."""
    if satisfies(live, wanted):
        return ""
    if live and number(wanted)[1] > number(live)[1] + 1:
        following = f"1.{number(live)[1] + 1}"
        return (
            f"kubernetesVersion = '{wanted}': the cluster runs {live}, and EKS upgrades one minor version at a time"
            f" (`pulumi config set kubernetesVersion {following}`, `up`, and then the next one)"
        )
    if wanted not in offered:
        return (
            f"kubernetesVersion = '{wanted}': EKS offers {', '.join(sorted(offered, key=number))}; choose one of these"
        )
    return ""


def kubernetes_warning(version: str, ends: dict[str, str], today: datetime.date) -> str:
    """Return a warning if standard support of a version has ended or soon does, else "". ``ends`` has ISO dates."""
    end = ends.get(version, "")
    if not end or datetime.date.fromisoformat(end) > today + datetime.timedelta(days=NOTICE_DAYS):
        return ""
    verb = "ended" if datetime.date.fromisoformat(end) <= today else "ends"
    return (
        f"kubernetesVersion {version}: EKS' standard support {verb} on {end}, and extended support costs"
        f" {EXTENDED_PRICE}; raise the key by one minor version at a time"
    )


def postgres_error(wanted: str, live: str, opts: pulumi.InvokeOptions) -> str:
    """Return why RDS would refuse to upgrade the server that runs to the wanted version, "" if it would not."""
    if not live or satisfies(live, wanted):
        return ""
    running = _engine_version(live, "versions that the database can be upgraded to", opts, include_all=True)
    targets = sorted(running.valid_upgrade_targets, key=number)
    # A bare major version is RDS' default for it, which may be older than what the running version upgrades to.
    version = wanted
    if "." not in wanted and any(major(each) == wanted for each in targets):
        version = _engine_version(
            wanted, f"RDS' default version of PostgreSQL {wanted}", opts, default_only=True
        ).version
    if version in targets:
        return ""
    chosen = "" if version == wanted else f" is {version} at RDS by default, and"
    return (
        f"databaseVersion = '{wanted}':{chosen} the server runs {live}, which RDS upgrades to"
        f" {', '.join(targets) or 'nothing'}; choose one of these"
    )


def postgres_warning(version: str, today: datetime.date) -> str:
    """Return a warning if RDS' standard support of a major version has ended or soon does, else ""."""
    end = datetime.date(STANDARD_SUPPORT_ENDS + int(version), 3, 1) - datetime.timedelta(days=1)
    if end > today + datetime.timedelta(days=NOTICE_DAYS):
        return ""
    verb = "ended" if end <= today else "ends"
    return (
        f"databaseVersion {version}: RDS' standard support {verb} on {end}, and extended support costs extra per"
        " processor and hour; take a snapshot and raise the key"
    )


def _engine_version(
    version: str,
    what: str,
    opts: pulumi.InvokeOptions,
    *,
    include_all: bool | None = None,
    default_only: bool | None = None,
) -> aws.rds.GetEngineVersionResult:
    return ask(
        lambda: aws.rds.get_engine_version(
            engine="postgres", version=version, include_all=include_all, default_only=default_only, opts=opts
        ),
        what,
        "the caller needs the right rds:DescribeDBEngineVersions",
    )
