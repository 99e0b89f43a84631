"""Read the schema of a cloud's resource types and functions from its Pulumi SDK.

Importing an SDK's module takes up to a second, so `sdk` imports this one only for types missing from its cache.
"""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from importlib import import_module
from types import NoneType
from typing import Any, ForwardRef, Union, get_args, get_origin

from pulumi import _types

from lab.plugins.sdk import FunctionSchema, Input, InputType, ResourceSchema

#: Types that an input of a scalar type accepts; a wire number that is whole arrives as int.
_SCALARS: Mapping[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
#: The SDKs import a module when one of its attributes is first read, which is not safe from several threads.
_importing = threading.RLock()


def read_resource(package: str, module: str, name: str) -> ResourceSchema:
    """Return the schema of a type."""
    resource, arguments = _load(package, module, name, f"{name}Args")
    return ResourceSchema(
        inputs=_inputs_of(arguments),
        outputs=frozenset(_types.resource_pulumi_to_py_names(resource)),
        secrets=_secret_outputs(resource),
    )


def read_function(package: str, module: str, name: str) -> FunctionSchema:
    """Return the schema of a function."""
    python_name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    function, result = _load(package, module, python_name, f"{name[0].upper()}{name[1:]}Result")
    results = (each for each, value in vars(result).items() if isinstance(value, property))
    return FunctionSchema(
        arguments=frozenset(map(_protocol_name, inspect.signature(function).parameters.keys() - {"opts"})),
        results=frozenset(map(_protocol_name, results)),
    )


@cache
def _inputs_of(arguments: type) -> Mapping[str, Input]:
    """Return the inputs that an ``…Args`` class of the SDK declares."""
    names = _types.input_type_py_to_pulumi_names(arguments)
    scope = vars(sys.modules[arguments.__module__])
    parameters = inspect.signature(arguments).parameters
    return {
        names[name]: Input(_parse(each.annotation, scope), required=each.default is inspect.Parameter.empty)
        for name, each in parameters.items()
    }


def _load(package: str, module: str, *names: str) -> list[Any]:
    """Return classes and functions of an SDK's module, importing it if need be."""
    with _importing:
        top = import_module(package)
        return [getattr(top if module == "index" else getattr(top, module), name) for name in names]


def _secret_outputs(resource: Any) -> frozenset[str]:
    """Return the outputs that the SDK always marks as secret; only the source names them."""
    source = inspect.getsource(resource._internal_init)
    return frozenset(re.findall(r'"(\w+)"', source.partition("additional_secret_outputs=")[2].partition("\n")[0]))


def _protocol_name(name: str) -> str:
    return re.sub("_([a-z0-9])", lambda letter: letter[1].upper(), name)


def _parse(annotation: Any, scope: Mapping[str, Any]) -> InputType:
    """Parse an annotation such as ``Input[Optional[Sequence[Input['FilterArgs']]]]``."""
    choices = [each for each in _alternatives(annotation, scope) if each is not NoneType]
    enumerations = [each for each in choices if isinstance(each, type) and issubclass(each, Enum)]
    if enumerations:
        return InputType((str,), values=frozenset(str(each.value) for each in enumerations[0]))
    (choice,) = choices[:1] or [Any]
    if choice in _SCALARS:
        return InputType(_SCALARS[choice])
    origin = get_origin(choice)
    if origin is not None and issubclass(origin, Sequence):
        return InputType((list,), element=_parse(get_args(choice)[0], scope))
    if origin is not None and issubclass(origin, Mapping):
        return InputType((dict,), element=_parse(get_args(choice)[1], scope))
    if isinstance(choice, type) and _types.is_input_type(choice):
        return InputType((dict,), fields=_inputs_of(choice))
    return InputType()


def _alternatives(annotation: Any, scope: Mapping[str, Any]) -> list[Any]:
    """Return the members of a union, without those that stand for a value that comes later."""
    if isinstance(annotation, ForwardRef):
        return [] if annotation.__forward_arg__.startswith("Output[") else [scope.get(annotation.__forward_arg__)]
    if get_origin(annotation) is Union:
        return [member for each in get_args(annotation) for member in _alternatives(each, scope)]
    if getattr(get_origin(annotation), "__name__", "") == "Awaitable":
        return []
    return [annotation]
