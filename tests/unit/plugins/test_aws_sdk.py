"""The simulated AWS says of its resource types and functions what the SDK says of them."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.aws.cloud import Aws
from lab.plugins.aws.functions import FUNCTIONS
from lab.plugins.declared import Property

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pulumi_aws as sdk

KINDS = {kind.__name__: kind for kind in Aws.kinds}
#: What the SDK leaves optional since it knows more ways than the simulation.
REQUIRED_HERE = {
    "Alias": {"name"},
    "RouteTableAssociation": {"subnet_id"},
    "Instance": {"engine", "username", "db_subnet_group_name", "allocated_storage"},
}
#: Outputs that the simulation leaves out: of IPv6, of addresses that nothing has, of what the program doesn't ask for.
LEFT_OUT = {
    "Vpc": {"ipv6_association_id"},
    "Subnet": {"ipv6_cidr_block_association_id"},
    "Eip": {"association_id", "carrier_ip", "customer_owned_ip", "private_dns", "private_ip", "ptr_record"},
    "NatGateway": {
        *("auto_provision_zones", "auto_scaling_ips", "route_table_id"),
        *("regional_nat_gateway_addresses", "regional_nat_gateway_auto_mode"),
    },
    "Cluster": {"cluster_id"},
    "Instance": {
        *("latest_restorable_time", "listener_endpoints", "master_user_secrets", "replicas", "upgrade_rollout_order")
    },
}
SOURCES = Path(__file__).resolve().parents[3] / "components" / "aws"


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def parameters(args: Any) -> Mapping[str, inspect.Parameter]:
    known = inspect.signature(args.__init__).parameters.items()
    return {name: each for name, each in known if name not in ("__self__", "self")}


def module(name: str) -> Any:
    return getattr(sdk, KINDS[name].module)


@pytest.mark.parametrize("name", KINDS)
def test_inputs_are_those_of_the_sdk(name: str):
    declared, known = KINDS[name].properties, parameters(getattr(module(name), f"{name}Args"))
    assert {snake(each) for each in declared} <= known.keys()
    required = {each for each, parameter in known.items() if parameter.default is inspect.Parameter.empty}
    assert {snake(each) for each, wanted in declared.items() if wanted.required} == required | (
        REQUIRED_HERE.get(name, set())
    )


@pytest.mark.parametrize("name", KINDS)
def test_inner_inputs_are_those_of_the_sdk(name: str):
    check_inner(module(name), name, KINDS[name].properties)


def check_inner(where: Any, begin: str, properties: Mapping[str, Property]) -> None:
    for each, wanted in properties.items():
        if not wanted.inner:
            continue
        known_as = begin + each[0].upper() + each[1:]
        args = getattr(where, f"{known_as}Args", None) or getattr(where, f"{known_as.removesuffix('s')}Args")
        known = parameters(args)
        assert {snake(inner) for inner in wanted.inner} <= known.keys(), known_as
        required = {inner for inner, parameter in known.items() if parameter.default is inspect.Parameter.empty}
        assert {snake(inner) for inner, its in wanted.inner.items() if its.required} == required, known_as
        check_inner(where, args.__name__.removesuffix("Args"), wanted.inner)


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_the_sdk(name: str):
    made = getattr(module(name), name)
    outputs = {each for each, value in vars(made).items() if isinstance(value, property)}
    computed, known = ({snake(each) for each in names} for names in (KINDS[name].computed, KINDS[name].properties))
    assert computed <= outputs
    inputs = parameters(getattr(module(name), f"{name}Args")).keys()
    assert outputs - inputs - computed - known - {"tags_all"} == LEFT_OUT.get(name, set())
    assert ("tags" in KINDS[name].properties) == ("tags_all" in outputs)
    assert ("region" in KINDS[name].properties) == ("region" in outputs)
    line = inspect.getsource(made).partition("additional_secret_outputs=")[2].partition("\n")[0]
    marked = {each for each in re.findall(r'"(\w+)"', line) if snake(each) in computed | known}
    assert marked == KINDS[name].secret


def test_every_type_and_function_that_the_program_uses_is_simulated():
    text = "".join(source.read_text() for source in SOURCES.glob("*.py"))
    used = {
        part.partition("(")[0].rpartition(".")[2]
        for part in text.split("aws.")[1:]
        if "(" in part and part.partition("(")[0].replace(".", "").replace("_", "").isalnum()
    }
    assert {each for each in used if each[0].isupper()} == set(KINDS)
    functions = {each.removesuffix("_output") for each in used if each.startswith("get_")}
    assert functions == {snake(each.rpartition(":")[2]) for each in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_those_of_the_sdk(function: str):
    where, _, name = function.removeprefix("aws:").partition("/")
    holder = sdk if where == "index" else getattr(sdk, where)
    name = name.rpartition(":")[2]
    _, arguments, required, results = FUNCTIONS[function]
    known = parameters_of(getattr(holder, snake(name)))
    assert {snake(each) for each in arguments} == known.keys()
    needed = {"addon_name", "kubernetes_version"} if name == "getAddonVersion" else set[str]()
    assert {snake(each) for each in required} == needed
    result = getattr(holder, f"{name[0].upper()}{name[1:]}Result")
    assert {snake(each) for each in results} <= {
        each for each, value in vars(result).items() if isinstance(value, property)
    }


def parameters_of(function: Any) -> Mapping[str, inspect.Parameter]:
    return {name: each for name, each in inspect.signature(function).parameters.items() if name != "opts"}
