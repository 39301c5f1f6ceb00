"""What is read of Gitea's deliveries where recordings leave a choice."""

from typing import Any

import pytest

from conveyor.api.annotations import HintClass
from conveyor_ingress import gitea_events
from conveyor_ingress.events import ForgeEvent, Malformed, Skipped
from tests.unit.ingress import deliveries
from tests.unit.ingress.deliveries import Delivery


def parsed(delivery: Delivery) -> ForgeEvent:
    event = gitea_events.parse(delivery.headers, delivery.body)
    assert isinstance(event, ForgeEvent)
    return event


def pull(name: str = "pull_request-opened", **fields: Any) -> Delivery:
    delivery = deliveries.load("gitea-1.26", name)
    return delivery.edited(pull_request=delivery.payload["pull_request"] | fields)


def test_hint_value_names_the_branch_and_shows_nothing_else() -> None:
    subject, _, digest = parsed(deliveries.push()).value.partition(" ")
    assert subject == "feature/PROJ-1"
    assert len(digest) == 16


def test_status_value_names_the_commit() -> None:
    delivery = deliveries.load("gitea-1.26", "status-success")
    assert parsed(delivery).value.split(" ")[0] == delivery.payload["sha"]


def test_pull_request_value_names_its_number() -> None:
    assert parsed(pull()).value.split(" ")[0] == "#1"


def test_new_branch_gives_one_value_for_create_and_push() -> None:
    create, push = (deliveries.load("gitea-1.26", name) for name in ("create-branch", "push-new-branch"))
    assert parsed(create).value == parsed(push).value


def test_push_of_zeros_is_the_value_of_a_deletion() -> None:
    push = deliveries.push().edited(after="0" * 40)
    assert parsed(push).value == parsed(deliveries.load("gitea-1.26", "delete-branch")).value


def test_test_delivery_with_a_short_ref_names_the_branch() -> None:
    assert parsed(deliveries.push().edited(ref="main")).branch == "main"


@pytest.mark.parametrize(
    "ref", ["refs/heads/a b", "refs/heads/\n", "refs/heads/\u0000", "", "x" * 300, "refs/heads/a~1"]
)
def test_ref_that_git_allows_nobody_is_malformed(ref: str) -> None:
    with pytest.raises(Malformed):
        parsed(deliveries.push().edited(ref=ref))


@pytest.mark.parametrize("sha", ["", "abc", "Z" * 40, "9D3B5287AEC893F63BA7DA1F61DD047727335CAF"])
def test_commit_that_is_none_is_malformed(sha: str) -> None:
    with pytest.raises(Malformed):
        parsed(deliveries.push().edited(after=sha))


def test_pull_request_of_a_fork_has_no_branch_of_ours() -> None:
    head = pull().payload["pull_request"]["head"]
    assert parsed(pull(head=head | {"repo_id": 99})).branch is None


def test_pull_request_of_a_fork_that_is_gone_has_no_branch_of_ours() -> None:
    head = pull().payload["pull_request"]["head"]
    assert parsed(pull(head=head | {"repo_id": -1, "repo": None})).branch is None


def test_pull_request_whose_branch_is_gone_keeps_its_name() -> None:
    head = pull().payload["pull_request"]["head"]
    assert parsed(pull(head=head | {"ref": "refs/pull/1/head"})).branch == "feature/PROJ-1"


@pytest.mark.parametrize("fields", [{"updated_at": "later"}, {"merged": True}], ids=str)
def test_pull_request_that_changed_has_another_value(fields: dict[str, Any]) -> None:
    assert parsed(pull(**fields)).value != parsed(pull()).value


def test_second_review_within_a_second_has_another_value() -> None:
    first = deliveries.load("gitea-1.26", "review-comment")
    second = first.edited(review=first.payload["review"] | {"content": "one more"})
    assert parsed(first).value != parsed(second).value


def test_repeated_status_is_another_event() -> None:
    first = deliveries.load("gitea-1.26", "status-success")
    assert parsed(first).value != parsed(first.edited(id=first.payload["id"] + 1)).value


def test_comment_on_a_pull_request_is_no_review() -> None:
    delivery = deliveries.load("gitea-1.26", "issue_comment-on-pr")
    assert isinstance(gitea_events.parse(delivery.headers, delivery.body), Skipped)


@pytest.mark.parametrize("name", ["review-approved", "review-changes-requested", "review-comment"])
def test_review_from_a_server_without_fine_names_is_a_review(name: str) -> None:
    delivery = deliveries.load("gitea-1.26", name).changed(X_Gitea_Event_Type="")
    assert parsed(delivery).hint is HintClass.REVIEW


def test_error_quotes_nothing_of_the_payload() -> None:
    delivery = deliveries.push().edited(ref="hunter2 hunter2")
    with pytest.raises(Malformed) as error:
        parsed(delivery)
    assert "hunter2" not in f"{error.value} {error.value.__cause__}"
