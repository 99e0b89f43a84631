"""The base of every component: it sets the type, with an alias for the type in older stacks."""

from __future__ import annotations

import pulumi

#: Package part of the component types in a stack's state.
PACKAGE = "delivery"
#: Package part in older stacks. An alias keeps their resources.
FORMER_PACKAGE = "addressbook"


class Component(pulumi.ComponentResource):
    """A component of type ``delivery:<kind>``, such as ``release:Track``."""

    def __init__(self, kind: str, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=f"{FORMER_PACKAGE}:{kind}")])
        super().__init__(f"{PACKAGE}:{kind}", name, None, pulumi.ResourceOptions.merge(alias, opts))
