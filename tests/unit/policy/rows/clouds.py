"""Databases, registries and clusters of the three clouds."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.rows import Row, StackResource, StackRow
from tests.unit.policy.unknown import UNKNOWN

DO_DATABASE = "digitalocean:index/databaseCluster:DatabaseCluster"
DO_REPLICA = "digitalocean:index/databaseReplica:DatabaseReplica"
DO_FIREWALL = "digitalocean:index/databaseFirewall:DatabaseFirewall"
DO_CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
DROPLETS = "digitalocean:index/firewall:Firewall"
SQL = "gcp:sql/databaseInstance:DatabaseInstance"
GKE = "gcp:container/cluster:Cluster"
GCP_FIREWALL = "gcp:compute/firewall:Firewall"
GCP_RULE = "gcp:compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule"
RDS, AURORA = "aws:rds/instance:Instance", "aws:rds/cluster:Cluster"
EKS = "aws:eks/cluster:Cluster"
GROUP, DEFAULT_GROUP = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
RULE, OLD_RULE = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:ec2/securityGroupRule:SecurityGroupRule",
)
ECR, GAR = "aws:ecr/repository:Repository", "gcp:artifactregistry/repository:Repository"
PARAMETERS, KEY, DISKS = (
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:kms/key:Key",
    "aws:ec2/launchTemplate:LaunchTemplate",
)
SERVICE = "kubernetes:core/v1:Service"
PRIVATE, ANYWHERE, ANYWHERE6 = "10.64.0.0/16", "0.0.0.0/0", "::/0"


def sql(**ip: Any) -> dict[str, Any]:
    good = {"ipv4Enabled": False, "privateNetwork": "n", "sslMode": "ENCRYPTED_ONLY"}
    return {"settings": {"ipConfiguration": {key: value for key, value in {**good, **ip}.items() if value is not None}}}


def _group(protocol: str, first: int, last: int, *blocks: str, **more: Any) -> dict[str, Any]:
    rule = {"protocol": protocol, "fromPort": first, "toPort": last, "cidrBlocks": list(blocks), **more}
    return {"ingress": [rule]}


def _rule(first: int, last: int, protocol: str = "tcp", **source: Any) -> dict[str, Any]:
    return {"ipProtocol": protocol, "fromPort": first, "toPort": last, **source}


def _old_rule(direction: str, **source: Any) -> dict[str, Any]:
    return {"type": direction, "protocol": "tcp", "fromPort": 0, "toPort": 65535, **source}


def _gcp(*ports: str, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    allowed = {"protocol": protocol, **({"ports": list(ports)} if ports else {})}
    return {"allows": [allowed], "sourceRanges": [ANYWHERE], **more}


def _gcp_rule(action: str = "allow", direction: str = "INGRESS", **source: Any) -> dict[str, Any]:
    match = {"layer4Configs": [{"ipProtocol": "tcp", "ports": ["5000-6000"]}], **source}
    return {"action": action, "direction": direction, "match": match}


def _droplets(ports: str, *sources: str, **more: Any) -> dict[str, Any]:
    return {"inboundRules": [{"protocol": "tcp", "portRange": ports, "sourceAddresses": list(sources), **more}]}


def _firewall(value: str, kind: str = "ip_addr") -> dict[str, Any]:
    return {"rules": [{"type": kind, "value": value}]}


def _ports(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"ports": list(ports), **spec}}


OPEN = "no-public-database"
PRIVATE_DATABASES = [
    Row(OPEN, DO_DATABASE, {"privateNetworkUuid": UNKNOWN}, {}, "privateNetworkUuid"),
    Row(OPEN, DO_REPLICA, {"privateNetworkUuid": UNKNOWN}, {}, "privateNetworkUuid"),
    Row(OPEN, DO_FIREWALL, _firewall(UNKNOWN, "k8s"), _firewall(ANYWHERE), ANYWHERE),
    Row(OPEN, DO_FIREWALL, _firewall("10.1.0.0/16"), _firewall("203.0.113.7"), "203.0.113.7"),
    Row(OPEN, DO_FIREWALL, _firewall("fd00::/8"), _firewall(ANYWHERE6), ANYWHERE6),
    Row(OPEN, DO_FIREWALL, _firewall("10.0.0.0/8"), _firewall("128.0.0.0/1"), "128.0.0.0/1"),
    Row(OPEN, SQL, sql(), sql(ipv4Enabled=True), "ipv4Enabled to false"),
    Row(OPEN, SQL, sql(privateNetwork=UNKNOWN), sql(ipv4Enabled=None), "ipv4Enabled to false"),
    Row(OPEN, SQL, sql(), {}, "ipv4Enabled to false"),
    Row(
        OPEN,
        SQL,
        sql(authorizedNetworks=[{"value": PRIVATE}]),
        sql(authorizedNetworks=[{"value": ANYWHERE}]),
        "authorizedNetworks",
    ),
    Row(OPEN, SQL, sql(pscConfigs=[{"pscEnabled": True}]), sql(privateNetwork=None), "privateNetwork"),
    Row(OPEN, RDS, {"publiclyAccessible": False}, {"publiclyAccessible": True}, "publiclyAccessible to false"),
    Row(OPEN, "aws:rds/clusterInstance:ClusterInstance", {}, {"publiclyAccessible": True}, "publiclyAccessible"),
    Row(
        OPEN,
        SERVICE,
        _ports({"port": 80, "targetPort": "http"}, type="LoadBalancer"),
        _ports({"port": 5432}, type="LoadBalancer"),
        "ClusterIP",
    ),
    Row(
        OPEN,
        SERVICE,
        _ports({"port": 5432}),
        _ports({"port": 80, "targetPort": "postgres"}, type="NodePort"),
        "ClusterIP",
    ),
    Row(OPEN, SERVICE, _ports({"port": 5432}), _ports({"port": 5432}, externalIPs=["203.0.113.7"]), "externalIPs"),
]
FIREWALLS = [
    # AWS: ranges of ports, all protocols, IPv6, prefix lists, in all three forms of a rule.
    Row(
        OPEN,
        GROUP,
        _group("tcp", 443, 443, ANYWHERE),
        _group("tcp", 5000, 6000, "10.0.0.0/8", ANYWHERE),
        "lets 0.0.0.0/0 connect to database port 5432",
    ),
    Row(OPEN, GROUP, _group("udp", 5432, 5432, ANYWHERE), _group("-1", 0, 0, ANYWHERE6), "port 5432, 25060, 25061"),
    Row(
        OPEN, GROUP, _group("tcp", 5432, 5432, PRIVATE), _group("6", 5432, 5432, ipv6CidrBlocks=[ANYWHERE6]), ANYWHERE6
    ),
    Row(
        OPEN,
        GROUP,
        _group("tcp", 443, 443, prefixListIds=["pl-1"]),
        _group("tcp", 0, 65535, prefixListIds=["pl-1"]),
        "list of addresses",
    ),
    Row(
        OPEN, GROUP, {"egress": [{"protocol": "-1", "cidrBlocks": [ANYWHERE]}]}, _group("all", 0, 0, "0.0.0.0/1"), "/1"
    ),
    Row(OPEN, DEFAULT_GROUP, _group("-1", 0, 0, self=True), _group("-1", 0, 0, ANYWHERE), ANYWHERE),
    Row(
        OPEN, RULE, _rule(5432, 5432, referencedSecurityGroupId=UNKNOWN), _rule(5432, 5432, cidrIpv4=ANYWHERE), ANYWHERE
    ),
    Row(OPEN, RULE, _rule(25061, 25062, cidrIpv4=PRIVATE), _rule(25061, 25062, cidrIpv4=ANYWHERE), "port 25061"),
    Row(OPEN, RULE, _rule(22, 22, cidrIpv6=ANYWHERE6), {"ipProtocol": "-1", "cidrIpv6": ANYWHERE6}, ANYWHERE6),
    Row(OPEN, RULE, _rule(443, 443, prefixListId=UNKNOWN), _rule(5432, 5432, prefixListId=UNKNOWN), "list of"),
    Row(
        OPEN, OLD_RULE, _old_rule("egress", cidrBlocks=[ANYWHERE]), _old_rule("ingress", cidrBlocks=[ANYWHERE]), "5432"
    ),
    Row(OPEN, OLD_RULE, _old_rule("ingress", self=True), _old_rule("ingress", prefixListIds=["pl-1"]), "list of"),
    # Google Cloud.
    Row(OPEN, GCP_FIREWALL, _gcp("443", "80"), _gcp("443", "5000-6000"), "port 5432"),
    Row(OPEN, GCP_FIREWALL, _gcp("5432", sourceRanges=[PRIVATE]), _gcp("5432", sourceRanges=[ANYWHERE6]), ANYWHERE6),
    Row(OPEN, GCP_FIREWALL, _gcp("0-1023"), _gcp("0-65535"), "port 5432"),
    Row(OPEN, GCP_FIREWALL, _gcp(protocol="udp"), _gcp(), ANYWHERE),
    Row(OPEN, GCP_FIREWALL, _gcp(protocol="all", direction="EGRESS"), _gcp(protocol="all"), ANYWHERE),
    Row(OPEN, GCP_FIREWALL, _gcp("5432", disabled=True), _gcp("5432", disabled=False), "5432"),
    Row(
        OPEN,
        GCP_FIREWALL,
        _gcp("5432", sourceRanges=None, sourceTags=["nodes"]),
        _gcp("5432", sourceRanges=None),
        ANYWHERE,
    ),
    Row(OPEN, GCP_RULE, _gcp_rule("deny", srcIpRanges=[ANYWHERE]), _gcp_rule(srcIpRanges=[ANYWHERE]), "5432"),
    Row(OPEN, GCP_RULE, _gcp_rule(direction="EGRESS"), _gcp_rule(), ANYWHERE),
    Row(OPEN, GCP_RULE, _gcp_rule(srcIpRanges=[PRIVATE]), _gcp_rule(srcAddressGroups=["group"]), "list of addresses"),
    # DigitalOcean.
    Row(OPEN, DROPLETS, _droplets("443", ANYWHERE), _droplets("5432", ANYWHERE), ANYWHERE),
    Row(OPEN, DROPLETS, _droplets("1-65535", PRIVATE), _droplets("1-65535", ANYWHERE6), ANYWHERE6),
    Row(OPEN, DROPLETS, _droplets("0-1023", ANYWHERE), _droplets("0", ANYWHERE), ANYWHERE),
    Row(OPEN, DROPLETS, _droplets("all", ANYWHERE, action="deny"), _droplets("all", ANYWHERE), ANYWHERE),
]


def _forced(family: str, *values: str) -> dict[str, Any]:
    return {"family": family, "parameters": [{"name": "rds.force_ssl", "value": value} for value in values]}


def _disk(**ebs: Any) -> dict[str, Any]:
    return {"blockDeviceMappings": [{"deviceName": "a", "ebs": ebs}]}


SECRETS = {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": UNKNOWN}}}
ENCRYPTION = [
    Row("encryption", kind, accepted, refused, message)
    for kind, accepted, refused, message in (
        (RDS, {"storageEncrypted": True}, {}, "storageEncrypted"),
        (RDS, {"replicateSourceDb": UNKNOWN}, {"storageEncrypted": False}, "storageEncrypted"),
        (AURORA, {"storageEncrypted": True}, {}, "storageEncrypted"),
        (PARAMETERS, _forced("postgres15"), _forced("postgres15", "0"), "rds.force_ssl"),
        (PARAMETERS, _forced("postgres14", "1"), _forced("postgres14"), "rds.force_ssl"),
        (PARAMETERS, _forced("mysql8.0"), _forced("postgres13"), "rds.force_ssl"),
        (EKS, SECRETS, {}, "encryptionConfig"),
        (EKS, SECRETS, {"encryptionConfig": {"resources": []}}, "encryptionConfig"),
        (ECR, {"encryptionConfigurations": [{"encryptionType": "AES256"}]}, {}, "encryptionConfigurations"),
        (KEY, {"enableKeyRotation": True}, {}, "enableKeyRotation"),
        (KEY, {"customerMasterKeySpec": "ECC_NIST_P256"}, {"enableKeyRotation": False}, "rotated"),
        (DISKS, _disk(encrypted="true"), _disk(volumeSize=20), "ebs.encrypted"),
        ("aws:ebs/volume:Volume", {"encrypted": True}, {}, "encrypted"),
        (SQL, sql(), sql(sslMode="ALLOW_UNENCRYPTED_AND_ENCRYPTED"), "ENCRYPTED_ONLY"),
        (SQL, sql(sslMode="TRUSTED_CLIENT_CERTIFICATE_REQUIRED"), sql(sslMode=None), "sslMode"),
    )
]


def _backups(**enabled: Any) -> dict[str, Any]:
    return {"settings": {"backupConfiguration": enabled}}


BACKUPS = [
    Row("database-backups", kind, accepted, refused, message)
    for kind, accepted, refused, message in (
        (RDS, {"backupRetentionPeriod": 1}, {"backupRetentionPeriod": 0}, "backupRetentionPeriod"),
        (RDS, {"backupRetentionPeriod": 35}, {}, "backupDays"),
        (RDS, {"replicateSourceDb": UNKNOWN}, {"engine": "postgres"}, "backupRetentionPeriod"),
        (AURORA, {}, {"backupRetentionPeriod": 0}, "backupRetentionPeriod"),
        (SQL, _backups(enabled=True), _backups(enabled=False), "backupConfiguration.enabled"),
        (SQL, {"masterInstanceName": UNKNOWN}, {}, "backupConfiguration.enabled"),
    )
]


def _protected_sql(**changed: Any) -> dict[str, Any]:
    settings = {"deletionProtectionEnabled": True, "finalBackupConfig": {"enabled": True}, **changed}
    return {"deletionProtection": True, "settings": settings}


PROTECTION = [
    Row("deletion-protection", kind, accepted, refused, message, stack="prod-aws", protect=True)
    for kind, accepted, refused, message in (
        (DO_CLUSTER, {}, {"destroyAllAssociatedResources": True}, "destroyAllAssociatedResources"),
        (SQL, _protected_sql(), {**_protected_sql(), "deletionProtection": False}, "deletionProtection"),
        (SQL, _protected_sql(), _protected_sql(deletionProtectionEnabled=False), "deletionProtectionEnabled"),
        (SQL, _protected_sql(), _protected_sql(finalBackupConfig={"enabled": False}), "set finalSnapshot true"),
        (GKE, {"deletionProtection": True}, {}, "deletionProtection"),
        (EKS, {"deletionProtection": True}, {"deletionProtection": False}, "deletionProtection"),
        (ECR, {}, {"forceDelete": True}, "forceDelete"),
        (RDS, {"deletionProtection": True}, {}, "deletionProtection"),
        (
            RDS,
            {"deletionProtection": True},
            {"deletionProtection": True, "skipFinalSnapshot": True},
            "set finalSnapshot true",
        ),
    )
]


def _excepting(*filters: str) -> dict[str, Any]:
    return {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filter": each, "filterType": "WILDCARD"} for each in filters],
        "imageScanningConfiguration": {"scanOnPush": True},
    }


FROZEN = {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}
REGISTRIES = [
    Row("registries", kind, accepted, refused, message)
    for kind, accepted, refused, message in (
        (ECR, FROZEN, {**FROZEN, "imageTagMutability": "MUTABLE"}, "imageTagMutability"),
        (ECR, FROZEN, {**FROZEN, "imageTagMutability": None}, "imageTagMutability"),
        (ECR, _excepting("src-*"), _excepting("src-*", "*"), "imageTagMutability"),
        (ECR, FROZEN, {**FROZEN, "imageTagMutability": "MUTABLE_WITH_EXCLUSION"}, "imageTagMutability"),
        (ECR, FROZEN, {**FROZEN, "imageScanningConfiguration": {"scanOnPush": False}}, "scanOnPush"),
        (ECR, FROZEN, {**FROZEN, "imageScanningConfiguration": None}, "scanOnPush"),
        (
            GAR,
            {"vulnerabilityScanningConfig": {"enablementConfig": "INHERITED"}},
            {"vulnerabilityScanningConfig": {"enablementConfig": "DISABLED"}},
            "enablementConfig",
        ),
    )
]


def _eks(**config: Any) -> dict[str, Any]:
    return {"vpcConfig": config}


def _gke(*blocks: str, **more: Any) -> dict[str, Any]:
    return {"masterAuthorizedNetworksConfig": {"cidrBlocks": [{"cidrBlock": block} for block in blocks]}, **more}


def _doks(enabled: bool, *blocks: str) -> dict[str, Any]:
    return {"controlPlaneFirewall": {"enabled": enabled, "allowedAddresses": list(blocks)}}


OFFICE = "203.0.113.0/24"
API_SERVERS = [
    Row("api-server-access", kind, accepted, refused, message)
    for kind, accepted, refused, message in (
        (EKS, _eks(publicAccessCidrs=[OFFICE]), _eks(publicAccessCidrs=[OFFICE, ANYWHERE]), ANYWHERE),
        (EKS, _eks(endpointPublicAccess=False), _eks(), "apiServerAccess"),
        (EKS, _eks(publicAccessCidrs=[OFFICE]), _eks(publicAccessCidrs=["0.0.0.0/1", "128.0.0.0/1"]), "/1"),
        (GKE, _gke(OFFICE), _gke(ANYWHERE), ANYWHERE),
        (GKE, {"privateClusterConfig": {"enablePrivateEndpoint": True}}, {}, "any address"),
        (GKE, {"controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"enabled": False}}}, _gke(ANYWHERE6), ANYWHERE6),
        (DO_CLUSTER, _doks(True, OFFICE), _doks(True, ANYWHERE), ANYWHERE),
        (DO_CLUSTER, {}, _doks(False), "any address"),
    )
]
ROWS = [*PRIVATE_DATABASES, *FIREWALLS, *ENCRYPTION, *BACKUPS, *PROTECTION, *REGISTRIES, *API_SERVERS]

_DATABASE = StackResource("database", DO_DATABASE)
STACK_ROWS = [
    StackRow(
        "database-firewall",
        (_DATABASE, StackResource("guard", DO_FIREWALL, of={"clusterId": "database"})),
        (_DATABASE, StackResource("other", DO_FIREWALL, of={"rules": "database"})),
        "DatabaseFirewall",
    ),
    StackRow("database-firewall", (), (_DATABASE,), "DatabaseFirewall"),
]
