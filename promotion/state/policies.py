"""The project's policies, as the engine is told of them."""

from __future__ import annotations

from typing import TypedDict

from contract.project import PROJECT_ROOT
from promotion.state.stack_file import StackFile

PACK = PROJECT_ROOT / "policy"
#: Policy settings for a stack whose first update may build from source; the program itself refuses it later.
FIRST_RELEASE = PACK / "first-release.json"
#: Begins what the engine says of a rule that could not judge a value which is known only after the update.
NOT_JUDGED = "can't run policy"


class PolicyArguments(TypedDict, total=False):
    """Arguments of the Automation API's ``preview`` and ``up``."""

    policy_packs: list[str]
    policy_pack_configs: list[str]


def policies(stack: str) -> PolicyArguments:
    """The policy pack, and how it is set for this stack. Raises CommandError when the stack file can't be read."""
    arguments: PolicyArguments = {"policy_packs": [str(PACK)]}
    if StackFile.of(stack).values().get("buildFromSource") == "first":
        arguments["policy_pack_configs"] = [str(FIRST_RELEASE)]
    return arguments
