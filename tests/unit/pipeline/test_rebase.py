"""The rebase before the merge: when it begins, whose the new head is, what it carries over, and when CI is silent."""

from __future__ import annotations

from dataclasses import replace

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, Gate, StalledReason
from conveyor.pipeline.case import Facts
from conveyor.pipeline.decide import decide
from conveyor.pipeline.gates import CONFLICT
from conveyor.pipeline.leases import in_region
from tests.unit.pipeline.builders import (
    BASE,
    CHANGE,
    DEVELOPER,
    HEAD,
    NOW,
    OPEN_LANE,
    PERSON,
    POLICY,
    UNKNOWN,
    attempts,
    case,
    facts,
    gate,
    green,
    item,
    merged_pull,
    pull,
    repository,
    review,
    settled,
    sha,
    stalled,
    transition,
)
from tests.unit.pipeline.landing_items import (
    BEHIND,
    DONE,
    HAD_IT,
    MERGEABLE,
    MOVED_PULL,
    NEW,
    OTHER,
    REBASING,
    STAGING,
    WORDS,
    after,
    rebased,
    told,
)
from tests.unit.pipeline.outcomes import Row, decide_row, outcome, table
from tests.unit.pipeline.situations import FREEZES

FROZEN = facts(base_in_head=False, lane=replace(OPEN_LANE, freeze=FREEZES["merge"]))
NO_REBASE = repository(merge={"alwaysRebase": False})

FROZEN_SINCE = HAD_IT.model_copy(update={"status": settled(HAD_IT, FROZEN).status})

BEGINS: tuple[Row, ...] = (
    ("a branch behind its base is rebased", STAGING, BEHIND, "intends Rebase"),
    ("a branch that is up to date is left alone", STAGING, facts(), "intends Merge"),
    ("the base is not known: nothing begins", STAGING, facts(base_in_head=UNKNOWN), "waits Forge"),
    (
        "the change is not known: nothing begins",
        item(Stage.DEPLOY_STAGING, change_id=None),
        facts(base_in_head=False, change_id=UNKNOWN),
        "waits Forge",
    ),
    (
        "CI at work on the old head comes first",
        STAGING,
        replace(BEHIND, statuses=(green("pending"),)),
        "waits CI",
    ),
    ("an open review is waited for first", STAGING, replace(BEHIND, reviews=()), "waits Review"),
    ("nothing is rebased while merges are frozen", STAGING, FROZEN, "waits RepositoryFrozen"),
    (
        "a freeze of admission stops no rebase",
        STAGING,
        replace(BEHIND, lane=replace(OPEN_LANE, freeze=FREEZES["admission"])),
        "intends Rebase",
    ),
    ("suspended, nothing is rebased", item(Stage.DEPLOY_STAGING, spec={"suspend": True}), BEHIND, "waits Suspended"),
    ("a base that moved again is charged", HAD_IT, BEHIND, "charged BaseMoved, intends Rebase"),
    (
        "a base that moved again while merges were frozen is charged when they thaw",
        FROZEN_SINCE,
        BEHIND,
        "charged BaseMoved, intends Rebase",
    ),
    (
        "a base that moved five times more is a person's matter",
        item(Stage.DEPLOY_STAGING, gates=(MERGEABLE, *WORDS), attempts=attempts(BaseMoved=5)),
        BEHIND,
        "Stalled BaseMoved",
    ),
    (
        "the first rebase of a stay is free, whatever was before",
        item(Stage.DEPLOY_STAGING, attempts=attempts(BaseMoved=5)),
        BEHIND,
        "intends Rebase",
    ),
    (
        "another head's record charges nothing",
        item(Stage.DEPLOY_STAGING, gates=(gate("branch_mergeable", head_sha=OTHER), *WORDS)),
        BEHIND,
        "intends Rebase",
    ),
)


@table(BEGINS)
def test_before_a_rebase(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_where_the_repository_wants_no_rebase_a_moved_base_is_a_persons_matter() -> None:
    assert decide_row(STAGING, BEHIND, of=NO_REBASE) == "Stalled BaseMoved"


def test_the_operators_setting_overrides_every_repository() -> None:
    never = replace(POLICY, premerge_rebase=False)
    action = decide(case(STAGING, BEHIND, policy=never))
    assert outcome(STAGING.status, action) == "Stalled BaseMoved"


def test_a_rebase_needs_a_persons_yes_first_where_one_is_asked() -> None:
    unasked = item(Stage.DEPLOY_STAGING, gates=WORDS[1:])
    assert decide_row(unasked, BEHIND, of=PERSON) == "waits Approval"
    assert decide_row(item(Stage.DEPLOY_STAGING, gates=WORDS), BEHIND, of=PERSON) == "intends Rebase"


def test_a_rebase_is_decided_for_exact_commits_and_stays_in_its_stage() -> None:
    intent = settled(STAGING, BEHIND).status.transition
    assert intent is not None
    condition = intent.precondition
    assert (condition.head_sha, condition.base_sha, condition.change_id) == (HEAD, BASE, CHANGE)
    assert (intent.from_stage, intent.to_stage) == (Stage.DEPLOY_STAGING, Stage.DEPLOY_STAGING)


def test_a_stall_at_the_cap_ends_by_retry_with_a_rebase() -> None:
    full = item(Stage.DEPLOY_STAGING, gates=(MERGEABLE, *WORDS), attempts=attempts(BaseMoved=5))
    whole = after(told(stalled(full, StalledReason.BASE_MOVED), "retry"), BEHIND)
    assert decide_row(whole, BEHIND) == "charged BaseMoved, intends Rebase"


# --- the result

UNMOVED = facts(base_in_head=False)
CONFLICTING = facts(base_in_head=False, refusal="409 conflict", conflict=("src/a.py", "src/b.py"))

REVIEWED_ANEW = "-> review, charged HeadMoved, run reviewer"
PARKED = transition(Effect.REBASE, phase="Unknown")

FOLLOWS: tuple[Row, ...] = (
    ("not there yet: it is applied", REBASING, UNMOVED, "Apply Rebase"),
    ("a head with our base and our change is ours", REBASING, DONE, "Rebase ended"),
    ("a head without our base is somebody's push", REBASING, facts(pull=MOVED_PULL, base_in_head=False), REVIEWED_ANEW),
    ("a head with another change is somebody's push", REBASING, facts(pull=MOVED_PULL, change_id=OTHER), REVIEWED_ANEW),
    (
        "a head without our base is somebody's push, whatever it changes",
        REBASING,
        facts(pull=MOVED_PULL, base_in_head=False, change_id=UNKNOWN),
        REVIEWED_ANEW,
    ),
    ("whose head it is, its change has to say", REBASING, facts(pull=MOVED_PULL, change_id=UNKNOWN), "Rebase goes on"),
    ("whether it has our base is not known", REBASING, facts(pull=MOVED_PULL, base_in_head=UNKNOWN), "Rebase goes on"),
    ("the pull request cannot be read", REBASING, facts(pull=UNKNOWN), "Rebase goes on"),
    ("the head itself has our base now: the intent ends", REBASING, facts(), "Rebase ended"),
    ("a closed pull request ends the intent", REBASING, facts(pull=pull(state="closed")), "Rebase ended"),
    ("a pull request that is gone ends the intent", REBASING, facts(pull=None), "Rebase ended"),
    ("a branch that is gone ends the intent", REBASING, facts(pull=pull(head="refs/pull/7/head")), "Rebase ended"),
    ("another base ends the intent", REBASING, facts(pull=pull(base="release")), "Rebase ended"),
    ("a merge by a person is the end", REBASING, facts(pull=merged_pull(head_sha=NEW)), "-> done"),
    (
        "an agent's merge is a person's matter",
        REBASING,
        facts(pull=merged_pull(DEVELOPER)),
        "Rebase ended, Stalled MergedByAgent",
    ),
    ("refused by the forge it waits and says so", REBASING, replace(UNMOVED, refusal="403"), "Rebase goes on"),
    ("a conflict is the developer's", REBASING, CONFLICTING, "-> development, charged Conflict, run developer"),
    (
        "cancel ends it",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.REBASE), spec={"cancel": True}),
        UNMOVED,
        "-> cancelled",
    ),
    (
        "one that does not happen in time is parked",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.REBASE, deadline_time=NOW)),
        UNMOVED,
        "Rebase goes on, Stalled EffectUnknown",
    ),
    (
        "a parked one that is found to have happened goes on",
        stalled(item(Stage.DEPLOY_STAGING, gates=WORDS, transition=PARKED), StalledReason.EFFECT_UNKNOWN),
        DONE,
        "Rebase ended",
    ),
    (
        "left behind by another process it is taken over first",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.REBASE, holder="another")),
        DONE,
        "Rebase goes on",
    ),
    (
        "with no retry left a push is a person's matter",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.REBASE), attempts=attempts(HeadMoved=3)),
        facts(pull=MOVED_PULL, change_id=OTHER),
        "Rebase ended, Stalled RetriesExhausted",
    ),
    (
        "with no retry left a conflict is a person's matter",
        item(Stage.DEPLOY_STAGING, transition=transition(Effect.REBASE), attempts=attempts(Conflict=3)),
        CONFLICTING,
        "Rebase ended, Stalled RetriesExhausted",
    ),
)


@table(FOLLOWS)
def test_a_rebase(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def words(whole: WorkItem) -> dict[str, Gate]:
    return {entry.name: entry for entry in whole.status.gates}


def test_our_new_head_and_its_base_are_on_record() -> None:
    status = rebased().status
    assert (status.head_sha, status.base_sha, status.change_id, status.transition) == (NEW, BASE, CHANGE, None)


def test_our_new_head_is_mergeable_and_the_region_goes_on() -> None:
    whole = rebased()
    found = words(whole)["branch_mergeable"]
    assert (found.passed, found.head_sha, found.checked_time) == (True, NEW, NOW)
    assert in_region(whole.status)


def test_what_the_test_and_the_person_said_is_carried_and_what_ci_said_is_not() -> None:
    silent = facts(pull=MOVED_PULL, reviews=(review(commit=HEAD),), statuses=())
    assert decide_row(rebased(), silent, of=PERSON) == "waits CI"
    known = replace(silent, statuses=(green(),))
    assert decide_row(rebased(), known, of=PERSON) == "intends Merge"


def test_the_approval_is_carried_through_every_pass_and_a_second_rebase() -> None:
    approved = (review(commit=HEAD),)
    whole, head = rebased(), NEW
    for second in (sha("second"), sha("third")):
        working = facts(pull=pull(head_sha=head), reviews=approved, statuses=(green("pending"),))
        for _ in range(3):
            whole = after(whole, working)
        behind = facts(pull=pull(head_sha=head), reviews=approved, base_in_head=False)
        whole = after(whole, behind)
        known = facts(pull=pull(head_sha=second), reviews=approved)
        whole = after(whole, known)
        head = second
    assert decide_row(whole, facts(pull=pull(head_sha=head), reviews=approved)) == "intends Merge"
    assert words(whole)["review_approved"].head_sha == HEAD


def test_a_change_that_cannot_be_read_for_once_loses_no_approval() -> None:
    known = facts(pull=MOVED_PULL, reviews=(review(commit=HEAD),), statuses=(green("pending"),), change_id=UNKNOWN)
    whole = after(rebased(), known)
    assert decide_row(whole, facts(pull=MOVED_PULL, reviews=(review(commit=HEAD),))) == "intends Merge"


def test_an_approval_that_was_dismissed_after_the_rebase_is_missed() -> None:
    gone = facts(pull=MOVED_PULL, reviews=(review(commit=HEAD, dismissed=True),))
    assert decide_row(rebased(), gone) == "waits Review"


def test_somebodys_push_of_the_same_change_carries_nothing_though_it_came_after_ours() -> None:
    """A forced push of the same change: only our own rebase carries an approval over."""
    amended = facts(pull=pull(head_sha=OTHER), reviews=(review(commit=HEAD),))
    back = settled(rebased(), amended).status
    assert (back.stage, back.head_sha) == (Stage.REVIEW, OTHER)
    reviewed = item(Stage.REVIEW, gates=back.gates, head_sha=OTHER, change_id=CHANGE)
    assert decide_row(reviewed, amended).endswith("charged Infrastructure, run reviewer")
    said = facts(pull=pull(head_sha=OTHER), reviews=(review(commit=HEAD), review("COMMENT", commit=OTHER)))
    assert decide_row(reviewed, said) == "waits Review"


def test_a_rebase_is_told() -> None:
    (note,) = settled(REBASING, DONE).notes
    assert (note.reason, note.text) == ("Rebased", f"{HEAD[:12]} is {NEW[:12]} now, on {BASE[:12]}")


# --- conflicts


def test_a_conflict_names_the_files_to_the_developer() -> None:
    run = settled(REBASING, CONFLICTING).status.active_run
    assert run is not None
    assert "src/a.py, src/b.py" in run.reason


def test_a_conflict_of_many_files_names_some_and_says_how_many_more() -> None:
    many = tuple(f"src/{number:03}.py" for number in range(50))
    run = settled(REBASING, replace(CONFLICTING, conflict=many)).status.active_run
    assert run is not None
    assert "src/019.py and 30 more" in run.reason
    assert "src/020.py" not in run.reason


def test_a_conflict_whose_files_cannot_be_read_is_told_all_the_same() -> None:
    assert decide_row(REBASING, replace(CONFLICTING, conflict=())).startswith("-> development, charged Conflict")


def test_a_developer_who_leaves_the_conflict_is_charged_again() -> None:
    sent = settled(REBASING, CONFLICTING).status
    back = item(Stage.DEVELOPMENT, attempts=sent.attempts)
    assert decide_row(back, facts()) == "charged Conflict, run developer"


def test_used_up_retries_do_not_rebase_into_the_same_conflict_again() -> None:
    conflict = gate("branch_mergeable", passed=False, reason=f"{CONFLICT}both changed a.py")
    used_up = item(Stage.DEPLOY_STAGING, gates=(conflict, *WORDS), attempts=attempts(Conflict=3))
    whole = stalled(used_up, StalledReason.RETRIES_EXHAUSTED)
    assert decide_row(whole, BEHIND) == "Stalled RetriesExhausted"
    assert decide_row(after(told(whole, "retry"), BEHIND), BEHIND) == "intends Rebase"
