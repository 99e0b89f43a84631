"""The pull-request comment: right sentence first, and no text that breaks out of its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from promotion.preview.comment import BODY_LIMIT, code, comment, mark
from promotion.preview.planned import Change, Plan, ReleaseState, TrackState

OLD, NEW = f"registry/addressbook@sha256:{'a' * 64}", f"registry/addressbook@sha256:{'b' * 64}"
STABLE = ReleaseState({"stable": TrackState(OLD, 3, 100)}, "split")
TRIAL = ReleaseState({"stable": TrackState(OLD, 2, 66.7), "canary": TrackState(NEW, 1, 33.3)}, "split")
PROMOTED = ReleaseState({"stable": TrackState(NEW, 3, 100)}, "split")
BUILT = ReleaseState({"stable": TrackState(None, 3, 100)}, "split")
PLAN = Plan(
    project="addressbook",
    stack="prod",
    before=STABLE,
    after=TRIAL,
    changes=(Change("create", "kubernetes:apps/v1:Deployment", "addressbook-canary"),),
    unchanged=20,
    verdict="",
    diff="    + kubernetes:apps/v1:Deployment: (create)",
)
HOSTILE = "x```\n````\n</details><script>alert(1)</script> | # heading `b` @everyone <!-- -->"


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "expected"),
    [
        (None, STABLE, "", "First release"),
        (STABLE, None, "", "The release is removed"),
        (STABLE, TRIAL, "", "**Canary on trial:** 33.3 % of the users."),
        (TRIAL, PROMOTED, "", "This image has no verdict"),
        (TRIAL, PROMOTED, f"healthy sha256:{'b' * 64} 2026-01-01T00:00:00Z", "`healthy`, 2026-01-01T00:00:00Z"),
        (TRIAL, PROMOTED, f"healthy sha256:{'a' * 64} 2026-01-01T00:00:00Z", "This image has no verdict"),
        (TRIAL, STABLE, "", "**Rollback:**"),
        (STABLE, PROMOTED, "", "**Stable gets a new image** that"),
        (STABLE, BUILT, "", "**Stable is built from source:**"),
        (STABLE, replace(STABLE, traffic="stable"), "", "**Traffic moves** to `stable`"),
        (STABLE, ReleaseState({"stable": TrackState(OLD, 5, 100)}, "split"), "", "**The replicas change;**"),
        (STABLE, STABLE, "", "No change to the release."),
    ],
)
def test_the_meaning_comes_first(before: ReleaseState, after: ReleaseState, verdict: str, expected: str):
    text = comment(replace(PLAN, before=before, after=after, verdict=verdict))
    assert text.splitlines()[0] == mark(PLAN) == "<!-- preview of addressbook/prod -->"
    meaning = text.split("\n\n")[2]
    assert expected in meaning


def test_the_comment_names_the_page_of_the_release():
    line = next(line for line in comment(PLAN).splitlines() if line.startswith("Page of the release:"))
    assert "`python -m promotion dashboard --stack prod`" in line
    assert "`release-prod`" in line
    assert "Page of the release" not in comment(replace(PLAN, faults=("it is invalid",)))


@pytest.mark.parametrize(("after", "warns"), [(TRIAL, True), (STABLE, False)])
def test_a_move_with_the_platform_is_a_warning(after: ReleaseState, warns: bool):
    upgrade = Change("update", "aws:eks/addon:Addon", "vpc-cni", ("addonVersion",), platform=True)
    text = comment(replace(PLAN, after=after, changes=(upgrade, *PLAN.changes)))
    assert ("gives users a new image and changes the platform (`Addon vpc-cni`)" in text) is warns


SETTINGS = ("environment.LOG_LEVEL", "memoryLimit")
OTHER_SETTINGS = ReleaseState(
    {"stable": TrackState(OLD, 2, 66.7), "canary": TrackState(OLD, 1, 33.3, settings=SETTINGS)}, "split"
)
RESTART = Change(
    "update",
    "kubernetes:apps/v1:Deployment",
    "addressbook-stable",
    ("spec.replicas", "spec.template.spec.containers[0].envFrom[1].configMapRef.name"),
)
ROTATION = replace(RESTART, properties=("spec.template.metadata.annotations.addressbook/settings-fingerprint",))


@pytest.mark.parametrize(
    ("before", "after", "change", "expected"),
    [
        (STABLE, OTHER_SETTINGS, PLAN.changes[0], "differ from stable's: `environment.LOG_LEVEL`, `memoryLimit`."),
        (OTHER_SETTINGS, STABLE, RESTART, "stable gets the canary's image and settings (`environment.LOG_LEVEL`,"),
        (OTHER_SETTINGS, STABLE, replace(RESTART, properties=("spec.replicas",)), "**Rollback:**"),
        (STABLE, STABLE, RESTART, "**Stable's pods restart with other settings** that have not been on trial."),
        (STABLE, STABLE, ROTATION, "No change to the release."),
    ],
)
def test_changed_settings_are_named(before: ReleaseState, after: ReleaseState, change: Change, expected: str):
    meaning = comment(replace(PLAN, before=before, after=after, changes=(change,))).split("\n\n")[2]
    assert expected in meaning


def test_each_track_is_shown_from_and_to():
    text = comment(PLAN)
    assert "| stable | `aaaaaaaaaaaa` | 3 → **2** | 100 % → **66.7 %** |" in text
    assert "| canary | none → **`bbbbbbbbbbbb`** | 0 → **1** | 0 % → **33.3 %** |" in text
    assert "### Resources: 1 to create, 20 unchanged" in text
    assert "| create | `addressbook-canary` | `kubernetes:apps/v1:Deployment` |" in text


@pytest.mark.parametrize("operation", ["delete", "replace"])
@pytest.mark.parametrize(
    ("type", "what"),
    [
        ("digitalocean:index/kubernetesCluster:KubernetesCluster", "cluster"),
        ("digitalocean:index/databaseCluster:DatabaseCluster", "database"),
        ("gcp:container/cluster:Cluster", "cluster"),
        ("gcp:sql/databaseInstance:DatabaseInstance", "database"),
        ("gcp:artifactregistry/repository:Repository", "registry"),
        ("aws:eks/cluster:Cluster", "cluster"),
        ("aws:rds/instance:Instance", "database"),
        ("aws:ecr/repository:Repository", "registry"),
        ("kubernetes:core/v1:PersistentVolumeClaim", "database volume"),
    ],
)
def test_losing_a_cluster_database_or_registry_is_said_loudly(operation: str, type: str, what: str):
    change = Change(operation, type, "main")  # pyright: ignore[reportArgumentType]
    text = comment(replace(PLAN, changes=(*PLAN.changes, change)))
    warning = text.index(f"The {what} `main`")
    assert "> [!CAUTION]" in text[:warning]
    assert warning < text.index("### Resources")


def test_an_update_or_a_component_is_no_loss():
    harmless = (
        Change("update", "aws:eks/cluster:Cluster", "main"),
        Change("delete", "delivery:aws:Cluster", "cluster"),
        Change("replace", "kubernetes:batch/v1:Job", "addressbook-migrate-abcdef"),
    )
    assert "CAUTION" not in comment(replace(PLAN, changes=harmless))


def test_no_text_breaks_out_of_its_place():
    plan = replace(
        PLAN,
        changes=(Change("update", "kubernetes:core/v1:ConfigMap", HOSTILE, (HOSTILE,)),),
        diff=HOSTILE,
        advice=(HOSTILE,),
    )
    tokens = parsed(comment(plan))
    (block,) = [token for token in tokens if token.type == "fence"]
    assert block.content == HOSTILE + "\n"
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert html == [mark(plan), "<details><summary>Full diff</summary>", "</details>"]
    inline = [child for token in tokens for child in token.children or [] if child.type == "html_inline"]
    assert inline == []
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == 2 + 1 + 1 + 1, "two tables: heads, two tracks, one resource"


@pytest.mark.parametrize("text", ["a", "`", "``a`", " a ", "a`b", "a\nb"])
def test_a_code_span_holds_any_text(text: str):
    (paragraph,) = [token for token in parsed(code(text)) if token.type == "inline"]
    (span,) = paragraph.children or []
    assert span.type == "code_inline"
    assert span.content == " ".join(text.split())


def test_faults_take_the_place_of_a_plan():
    text = comment(replace(PLAN, faults=("invalid config, nothing was changed\n  - stableReplicas = 0",)))
    assert "The preview failed" in text
    assert "stableReplicas = 0" in text
    assert "Canary on trial" not in text


@pytest.mark.parametrize("limit", [BODY_LIMIT, 5_000])
@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, diff="ü" * 100 + "\n" + "line of a long diff\n" * 20_000),
        replace(PLAN, diff="`" * 40_000),
        replace(PLAN, diff="d\n" * 50_000, changes=PLAN.changes * 3_000),
    ],
    ids=["long diff", "one long line", "many resources"],
)
def test_whatever_the_size_it_fits_with_the_summary_whole(plan: Plan, limit: int):
    text = comment(plan, limit)
    assert len(text.encode()) <= limit
    assert "Canary on trial" in text
    assert "| canary |" in text
    assert "do not fit here; `pulumi preview --diff --stack prod` shows them." in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, faults=("ü" * 90_000,)),
        replace(PLAN, advice=("a" * 3_000,) * 500),
        replace(PLAN, changes=(Change("delete", "aws:rds/instance:Instance", "main"),) * 500),
    ],
    ids=["faults", "advice", "losses"],
)
def test_a_summary_of_any_size_fits(plan: Plan):
    text = comment(plan)
    assert len(text.encode()) <= BODY_LIMIT
    assert "Preview of stack `prod`" in text


def test_what_fits_is_whole():
    text = comment(replace(PLAN, diff="line\n" * 2_000))
    assert "do not fit" not in text
    assert text.count("\nline") == 2_000
