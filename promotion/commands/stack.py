"""``stack``: a release stack of one's own on a platform that is there already."""

from __future__ import annotations

import argparse

from pulumi import automation

from contract.project import PROJECT_ROOT
from promotion.arguments import Commands, wait_argument
from promotion.errors import BUSY, DONE, MEANINGS, WRONG_USE, CommandError
from promotion.operations.work import LOCKS, Work, wait_seconds
from promotion.state.checkout_lock import at_work
from promotion.state.engine import last_lines
from promotion.state.engine_process import Engine
from promotion.state.release_stack_file import ReleaseStack, described, refuse_image, refuse_name
from promotion.state.stack_file import StackFile
from promotion.status.table import outputs_text


def register(commands: Commands) -> None:
    what = "make a release stack, for a branch or a person, on the platform of another stack"
    example = "example: python -m promotion stack --name feature-x --platform staging"
    parser = commands.add_parser("stack", help=what, description=what, epilog=f"{example}; {MEANINGS}")
    parser.add_argument("--name", required=True, help="what it is called; its namespace is named after it")
    parser.add_argument(
        "--platform", default="dev", metavar="STACK", help="stack on whose platform it is (default: %(default)s)"
    )
    parser.add_argument(
        "--image",
        default="",
        help="what it runs, REPOSITORY@sha256:DIGEST (default: built from the build context)",
    )
    wait_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    name: str = options.name
    refuse_name(name)
    refuse_image(options.image)
    made = described(name, StackFile.of(options.platform), options.image)
    with at_work(LOCKS, name, "promotion stack", wait_seconds(options), print):
        refuse_name(name)  # somebody may have made it meanwhile
        workspace = automation.LocalWorkspace(
            work_dir=str(PROJECT_ROOT), pulumi_command=Engine(), secrets_provider=made.secrets_provider
        )
        work = _created(made, workspace, options)
        for key in made.left_out:
            work.say(
                f"{key} is left out: only stack `{options.platform}` can decrypt it; set it with `pulumi config set`"
            )
        try:
            work.apply(work.file.text(), f"on the platform of {made.platform}", preview=True)
        except CommandError as fault:
            if fault.code in (WRONG_USE, BUSY):  # refused before anything was made
                workspace.remove_stack(name)
            raise
        print(
            f"\n{outputs_text(name, work.outputs)}\n\n{_unstack(name)} removes it again; commit {work.file.path.name}"
            " where others are to work on it"
        )
    return DONE


def _unstack(name: str) -> str:
    return f"`python -m promotion unstack --name {name}`"


def _created(made: ReleaseStack, workspace: automation.LocalWorkspace, options: argparse.Namespace) -> Work:
    """Write the stack file and make the stack, which is empty yet; neither, where that can't be.

    Raises CommandError.
    """
    path = PROJECT_ROOT / f"Pulumi.{made.name}.yaml"
    try:
        if made.name in {each.name.rpartition("/")[2] for each in workspace.list_stacks()}:
            raise CommandError(
                f"--name {made.name}: there is such a stack already, made from another checkout; name it otherwise",
                WRONG_USE,
            )
        path.write_text(made.text, encoding="utf-8")
        automation.Stack.create(made.name, workspace)
    except automation.CommandError as error:
        path.unlink(missing_ok=True)
        raise CommandError(last_lines(error)) from None
    return Work(made.name, "stack", StackFile.of(made.name), options)
