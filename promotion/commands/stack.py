"""``up``, ``down``, ``stack`` and ``unstack``: stacks as a whole."""

from __future__ import annotations

from promotion.commands.arguments import Commands, add_command, add_wait
from promotion.operations import stack
from promotion.operations.options import ChangeOptions, ReleaseStackOptions, UpOptions


def add_up(commands: Commands) -> None:
    summary = "update a stack to its config; create it if it does not exist"
    parser = add_command(commands, "up", stack.up, UpOptions, summary)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="first set a config key in the stack file (repeatable)",
    )
    parser.add_argument("--message", "-m", metavar="TEXT", help="the reason, for the stack's history")
    add_wait(parser)


def add_down(commands: Commands) -> None:
    add_wait(add_command(commands, "down", stack.down, ChangeOptions, "destroy a stack's resources; its file stays"))


def add_stack(commands: Commands) -> None:
    parser = add_command(
        commands,
        "stack",
        stack.create_release_stack,
        ReleaseStackOptions,
        "create a release stack, for a branch or a person, on another stack's platform",
        "--name feature-x --platform staging",
        stack=False,
    )
    parser.add_argument("--name", dest="stack", required=True, help="name of the stack and of its namespace")
    parser.add_argument(
        "--platform", default="dev", metavar="STACK", help="stack whose platform it uses (default: %(default)s)"
    )
    parser.add_argument(
        "--image", default="", help="image to run, REPOSITORY@sha256:DIGEST (default: built from the build context)"
    )
    add_wait(parser)


def add_unstack(commands: Commands) -> None:
    parser = add_command(
        commands,
        "unstack",
        stack.destroy_release_stack,
        ChangeOptions,
        "destroy a release stack, with its namespace, database and file; its platform stays",
        "--name feature-x",
        stack=False,
    )
    parser.add_argument("--name", dest="stack", required=True, help="name of the release stack")
    add_wait(parser)
