"""`prune`: which images it deletes, and that it asks before."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation

from components import registry_client
from components.registry_client import RegistryError
from promotion.errors import CommandError
from promotion.operations import prune
from promotion.operations.options import PruneOptions
from promotion.state import engine, history, named_images, stored_images
from promotion.state.stored_images import StoredImage

REPOSITORY = "registry.example/addressbook"
RUNS, EARLIER, BRANCH, NEVER, SIGNATURE, FOREIGN = (f"sha256:{digit * 64}" for digit in "abcdef")
#: The repository, by tag.
TAGS = {
    "src-aaaaaaaaaaaa": RUNS,
    "release-aaaaaaaaaaaa": RUNS,
    "src-bbbbbbbbbbbb": EARLIER,
    "src-cccccccccccc": BRANCH,
    "src-dddddddddddd": NEVER,
    f"sha256-{NEVER[7:]}.sig": SIGNATURE,
    "v1.2.3": FOREIGN,
}


#: Stacks that were selected in the workspace.
SELECTED: list[str] = []


class Backend:
    """Two stacks: `dev` runs one image and ran another, a release stack on its platform runs a third."""

    workspace = SimpleNamespace(
        select_stack=lambda name: SELECTED.append(name),
        list_stacks=lambda: [SimpleNamespace(name="dev"), SimpleNamespace(name="branch")],
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def export_stack(self) -> Any:
        image = {"dev": RUNS, "branch": BRANCH}[self.name]
        tracks = {"stable": {"image": f"{REPOSITORY}@{image}"}}
        root = {"type": "pulumi:pulumi:Stack", "outputs": {"tracks": tracks}}
        return SimpleNamespace(deployment={"resources": [root]})


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests that were deleted from the registry, whose stacks are in memory."""
    gone: list[str] = []
    monkeypatch.setattr(registry_client, "tags", lambda repository: [*TAGS])
    monkeypatch.setattr(registry_client, "digest", lambda image: TAGS[image.partition(":")[2]])
    monkeypatch.setattr(registry_client, "delete", lambda repository, digest, tags: gone.append(digest))
    monkeypatch.setattr(engine, "select_stack", lambda name: Backend(name))
    monkeypatch.setattr(automation.Stack, "select", lambda name, workspace: Backend(name))
    ran = SimpleNamespace(config={"stableImage": f"{REPOSITORY}@{EARLIER}"})
    monkeypatch.setattr(history, "updates", lambda stack: [ran] if stack.name == "dev" else [])
    return gone


def test_only_images_that_no_stack_names_are_deleted(deleted: list[str], capsys: pytest.CaptureFixture[str]):
    prune.prune(PruneOptions(stack="dev", yes=True, output="json"))
    assert deleted == [NEVER, SIGNATURE]
    document = json.loads(capsys.readouterr().out)
    assert document["repository"] == REPOSITORY
    assert [each["digest"] for each in document["unused"]] == deleted
    assert (document["kept"], document["deleted"]) == (4, True)
    assert SELECTED[-1] == "dev", "another stack must not stay selected for plain pulumi"


def test_without_a_terminal_it_only_lists(deleted: list[str], capsys: pytest.CaptureFixture[str]):
    prune.prune(PruneOptions(stack="dev"))
    assert deleted == []
    out = capsys.readouterr().out
    assert "2 of 6 images are named by no stack" in out
    assert "nothing was deleted; --yes deletes them" in out


def test_at_a_terminal_it_asks(deleted: list[str], monkeypatch: pytest.MonkeyPatch):
    for answer, expected in (("n\n", []), ("y\n", [NEVER, SIGNATURE])):
        terminal = SimpleNamespace(isatty=lambda: True, readline=lambda answer=answer: answer)
        monkeypatch.setattr("sys.stdin", terminal)
        try:
            prune.prune(PruneOptions(stack="dev"))
        except CommandError as error:
            assert "nothing was changed" in str(error)
        assert deleted == expected


def test_an_unreadable_stack_stops_it(deleted: list[str], monkeypatch: pytest.MonkeyPatch):
    def refused(name: str, workspace: object) -> Any:
        raise automation.CommandError(automation.CommandResult("", "error: the backend does not answer\n", 255))

    monkeypatch.setattr(automation.Stack, "select", refused)
    with pytest.raises(CommandError, match="stack `dev`: cannot be read: the backend does not answer"):
        prune.prune(PruneOptions(stack="dev", yes=True))
    assert deleted == []


def test_the_registrys_refusal_says_how_to_log_in(deleted: list[str], monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise RegistryError(f"delete {REPOSITORY}: unauthorized [http 401]")

    monkeypatch.setattr(registry_client, "delete", refused)
    with pytest.raises(CommandError, match=r"docker login registry\.example"):
        prune.prune(PruneOptions(stack="dev", yes=True))


def test_images_tagged_by_others_stay():
    images = [StoredImage(NEVER, ("src-dddddddddddd", "v1")), StoredImage(FOREIGN, ("latest",))]
    assert prune.unused_images(images, ()) == []


def test_tags_go_first_where_a_tagged_image_stays(monkeypatch: pytest.MonkeyPatch):
    calls: list[list[str]] = []

    @contextmanager
    def configured(*_: object) -> Any:
        yield {}

    def run(arguments: list[str], _: object) -> str:
        calls.append(arguments)
        if len(calls) == 1:
            raise RegistryError("GOOGLE_MANIFEST_DANGLING_TAG: manifest is still referenced by tag")
        return ""

    monkeypatch.setattr(registry_client, "_configured", configured)
    monkeypatch.setattr(registry_client, "_run", run)
    registry_client.delete(REPOSITORY, NEVER, ["src-dddddddddddd"])
    assert [call[:2] for call in calls] == [["manifest", "delete"], ["tag", "delete"], ["manifest", "delete"]]


def test_every_stack_file_counts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "Pulumi.other.yaml").write_text(f"config:\n  stableImage: {REPOSITORY}@{FOREIGN}\n")
    monkeypatch.setattr(named_images, "PROJECT_ROOT", tmp_path)
    workspace: Any = SimpleNamespace(list_stacks=list)
    assert named_images.named_digests(workspace) == {FOREIGN}
    assert stored_images.OWN_TAG.fullmatch("src-0123456789ab")
