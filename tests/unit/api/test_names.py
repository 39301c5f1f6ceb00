"""Names fit where they go: API objects, pods, Git references; whatever a ticket is called."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.api.names import (
    MAX_ITEM_NAME,
    MAX_JOB_NAME,
    MAX_SLUG,
    MAX_TICKET_KEY,
    TICKET_KEY,
    branch_name,
    document_folder,
    effect_job_name,
    is_ticket_key,
    item_name,
    key_of_item,
    run_name,
    slug,
    ticket_key_of_branch,
)
from conveyor.api.stages import Role
from conveyor.api.workitem import Effect
from tests import strategies

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
KEYS = st.from_regex(TICKET_KEY, fullmatch=True)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Fix the login", "fix-the-login"),
        ("  --Fix: the   login!-- ", "fix-the-login"),
        ("Исправить вход в систему", "ispravit-vhod-v-sistemu"),
        ("Ёжик и объём, щука", "ezhik-i-obem-shhuka"),
        ("Й", "j"),
        ("Straße ﬁx Ünïcode", "strasse-fix-unicode"),
        ("修复登录", ""),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 60, "x" * 40),
        ("check the input of the registration form again", "check-the-input-of-the-registration-form"),
        ("check the input of the registration forms again", "check-the-input-of-the-registration"),
    ],
)
def test_slug_is_the_title_in_plain_letters_cut_after_a_word(title: str, expected: str) -> None:
    assert slug(title) == expected


@given(strategies.titles())
def test_any_title_gives_a_slug_of_plain_words(title: str) -> None:
    assert re.fullmatch(rf"(?=.{{0,{MAX_SLUG}}}$)([a-z0-9]+(-[a-z0-9]+)*)?", slug(title))


@given(strategies.titles())
def test_a_slug_is_its_own_slug(title: str) -> None:
    assert slug(slug(title)) == slug(title)


@given(key=KEYS, title=strategies.titles(), again=st.integers(1, 99), rework=st.integers(0, 99))
def test_any_title_gives_a_branch_that_leads_back_to_its_ticket(key: str, title: str, again: int, rework: int) -> None:
    branch = branch_name(key, title, again=again, rework=rework)
    assert re.fullmatch(r"feature/[A-Za-z0-9-]{1,80}", branch)
    assert ticket_key_of_branch(branch) == key


@pytest.mark.parametrize("title", strategies.HOSTILE_TITLES)
def test_git_takes_the_branch_of_a_hostile_title(title: str) -> None:
    answer = subprocess.run(
        ["git", "check-ref-format", "--branch", branch_name("ET-17", title)], capture_output=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "feature/ET-17-fix-it"),
        ({"again": 2}, "feature/ET-17-2-fix-it"),
        ({"rework": 1}, "feature/ET-17-fix-it-r1"),
        ({"again": 3, "rework": 2}, "feature/ET-17-3-fix-it-r2"),
    ],
)
def test_branch_tells_repetition_and_rework(arguments: dict[str, int], expected: str) -> None:
    assert branch_name("ET-17", "Fix it", **arguments) == expected


def test_a_title_without_letters_gives_the_branch_of_the_key_alone() -> None:
    assert branch_name("ET-17", "修复") == "feature/ET-17"


@pytest.mark.parametrize(
    "branch", ["main", "feature/et-17", "feature/ET-17x", "feature/ET-0-x", "feature/ET-17/x", "x/ET-17"]
)
def test_a_foreign_branch_names_no_ticket(branch: str) -> None:
    assert ticket_key_of_branch(branch) is None


@pytest.mark.parametrize(
    ("repository", "key", "expected"),
    [
        ("shop", "ET-17", "shop-et-17"),
        ("shop.v2", "ET-17", "shop.v2-et-17"),
        ("a" * 44, "ET-17", "a" * 44 + "-et-17"),
        ("a" * 45, "ET-17", None),
        ("shop", "ET_17", None),
        ("shop", "", None),
        ("Shop", "ET-17", None),
    ],
)
def test_item_of_a_ticket_is_named_by_repository_and_key(repository: str, key: str, expected: str | None) -> None:
    assert item_name(repository, key) == expected


def test_item_of_a_ticket_started_again_carries_its_number() -> None:
    assert item_name("shop", "ET-17", again=2) == "shop-et-17-2"


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_item_name_is_one_that_the_api_server_takes(repository: str, key: str) -> None:
    name = item_name(repository, key)
    assert name is None or (SUBDOMAIN.fullmatch(name) and len(name) <= MAX_ITEM_NAME)


@given(item=strategies.item_names(), role=st.sampled_from(Role), uid=st.uuids().map(str), runs=st.integers(1, 10**6))
def test_run_has_a_name_that_a_pod_can_bear(item: str, role: Role, uid: str, runs: int) -> None:
    name = run_name(item, role, uid=uid, runs=runs)
    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= MAX_JOB_NAME
    assert f"-{role}-{runs}-" in name


@given(item=strategies.item_names(), effect=st.sampled_from(Effect), digest=st.binary(min_size=16, max_size=32))
def test_effect_has_a_name_that_a_pod_can_bear(item: str, effect: Effect, digest: bytes) -> None:
    name = effect_job_name(item, effect, transition_id=digest.hex())
    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= MAX_JOB_NAME


@given(st.lists(st.uuids().map(str), min_size=2, max_size=2, unique=True))
def test_runs_of_namesakes_never_share_a_name(uids: list[str]) -> None:
    assert len({run_name("shop-et-17", Role.DEVELOPER, uid=uid, runs=1) for uid in uids}) == 2


def test_runs_of_one_item_never_share_a_name() -> None:
    assert len({run_name("shop-et-17", Role.DEVELOPER, uid="u", runs=number) for number in range(1, 200)}) == 199


@pytest.mark.parametrize("key", ["ET-17", "A-1", "SHOP2-999999999", "ABCDEFGHIJKL-1"])
def test_key_of_a_ticket_is_known(key: str) -> None:
    assert is_ticket_key(key)
    assert len(key) <= MAX_TICKET_KEY


@pytest.mark.parametrize(
    "key", ["", "et-17", "ET-0", "ET-017", "ET17", "ET-17\n", "2ET-1", "ET-1234567890", "ÉT-1", "ET-1 "]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    assert not is_ticket_key(key)


def test_key_of_a_hand_made_item_is_its_name() -> None:
    assert [key_of_item("mend-login", None), key_of_item("shop-et-17", "ET-17")] == ["MEND-LOGIN", "ET-17"]


def test_documents_of_an_item_are_under_its_key() -> None:
    assert document_folder("ET-17") == "docs/work-items/ET-17/"
