"""A cloud is one folder and one file: a tiny one is added to a copy of the program and released on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

CLUSTER = '''
"""A cluster."""

import pulumi

from components.component import Component
from components.kubernetes_access import ExecCredentials, exec_kubeconfig, kubernetes_provider


class Cluster(Component):
    def __init__(self, name, slug):
        super().__init__("tiny:Cluster", name)
        config = exec_kubeconfig(slug, f"https://{slug}.example", "Y2E=", ExecCredentials("tinyctl", ["token", slug]))
        self.kubernetes = kubernetes_provider(config, slug, pulumi.ResourceOptions(parent=self))
'''

STACK = '''
"""Cloud ``tiny``."""

import pulumi
from pydantic import Field

from components.namespace import namespace
from components.tiny.cluster import Cluster
from contract.platform import Database, Platform, Registry
from contract.settings import Keys


class PlatformKeys(Keys):
    region: str = Field(examples=["here"], pattern="^(here|there)$", description="Region.")
    tiny_plan: str = Field(default="free", description="Plan of the account.")


ReleaseStackKeys = None  # its platform cannot be shared


def provision(settings):
    cluster = Cluster("cluster", f"{settings.platform.tiny_plan}-{settings.platform.region}")
    password = pulumi.Output.secret("of the database")
    return Platform(
        kubernetes=cluster.kubernetes,
        namespace=namespace(settings.stack.namespace, cluster.kubernetes).metadata["name"],
        registry=Registry(url="registry.example/team"),
        database=Database(host="db.example", port=5432, name="demo", user="demouser", password=password),
        outputs={"plan": settings.platform.tiny_plan},
    )
'''

PROGRAM = """
import json, runpy, sys

import pulumi
from pulumi.runtime import mocks

config, types = json.loads(sys.argv[1]), []


class Providers(mocks.Mocks):
    def call(self, args):
        return {}

    def new_resource(self, args):
        types.append(args.typ)
        result = {"result": "generated"} if args.typ.endswith(":RandomPassword") else {}
        return args.name, {**args.inputs, **result}


pulumi.runtime.set_all_config({f"addressbook:{key}": value for key, value in config.items()})
mocks.set_mocks(Providers(), project="addressbook", stack="test")


@pulumi.runtime.test
def program():
    try:
        runpy.run_path("__main__.py")
    except pulumi.RunError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(0)


program()
print(json.dumps({"types": types}))
"""


def test_a_cloud_needs_only_a_folder_and_a_file(tmp_path: Path):
    program = tmp_path / "program"
    program.mkdir()
    for name in ("contract", "components", "stacks", "pipeline", "app"):
        shutil.copytree(
            ROOT / name, program / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")
        )
    for name in ("__main__.py", "Pulumi.yaml"):
        shutil.copy(ROOT / name, program / name)
    (program / "components" / "tiny").mkdir()
    (program / "components" / "tiny" / "__init__.py").touch()
    (program / "components" / "tiny" / "cluster.py").write_text(CLUSTER)
    (program / "stacks" / "tiny.py").write_text(STACK)
    (program / "docs" / "reference").mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "pipeline", "config"], cwd=program, check=True)
    (program / "program.py").write_text(PROGRAM)

    def run(**config: str) -> dict[str, object]:
        command = [sys.executable, "program.py", json.dumps({"cloud": "tiny", **config})]
        done = subprocess.run(command, cwd=program, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    types = run(tinyPlan="paid", region="here")["types"]
    assert isinstance(types, list)
    assert "delivery:tiny:Cluster" in types
    assert types.count("kubernetes:apps/v1:Deployment") == 1
    error = str(run(region="elsewhere", kubeContext="kind-kind")["error"])
    assert "region = 'elsewhere'" in error
    assert "cloud `tiny` does not use this key" in error
    error = str(run(platformStack="prod")["error"])
    assert "platformStack = 'prod': cloud `tiny` does not support sharing a platform" in error
    assert "tinyPlan" in (program / "docs" / "reference" / "config.md").read_text()
