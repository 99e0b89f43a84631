"""The base of every component: its type, and the type that older stacks know it by."""

from __future__ import annotations

import pulumi

#: Package part of the component types in a stack's state.
PACKAGE = "delivery"
#: The package part before it became neutral; an alias keeps existing resources.
FORMER_PACKAGE = "addressbook"


class Component(pulumi.ComponentResource):
    """A component of type ``delivery:<kind>``, such as ``release:Track``."""

    def __init__(self, kind: str, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=f"{FORMER_PACKAGE}:{kind}")])
        super().__init__(f"{PACKAGE}:{kind}", name, None, pulumi.ResourceOptions.merge(alias, opts))
