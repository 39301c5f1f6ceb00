"""Every recorded and crafted delivery has its answer and its one write."""

import pytest

from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import Ingress, item
from tests.unit.ingress.deliveries import ISSUE, NAMESPACE

SHOP, SAMPLE, API = ("Repository", "shop"), ("Repository", "sample"), ("Repository", "api")
PROJ_1 = ("WorkItem", "shop-proj-1")
ET_42 = ("WorkItem", "api-et-42")

WRITES = {
    "create-branch": (*PROJ_1, "push"),
    "delete-branch": (*PROJ_1, "push"),
    "push-existing-branch": (*PROJ_1, "push"),
    "push-forced": (*PROJ_1, "push"),
    "push-new-branch": (*PROJ_1, "push"),
    "push-50-commits": (*SHOP, "push"),
    "push-merge-to-main": (*SHOP, "push"),
    "pull_request-opened": (*PROJ_1, "pull-request"),
    "pull_request-synchronized": (*PROJ_1, "pull-request"),
    "pull_request-closed-merged": (*PROJ_1, "pull-request"),
    "pull_request-closed-unmerged": (*PROJ_1, "pull-request"),
    "pull_request-review-requested": (*PROJ_1, "pull-request"),
    "review-approved": (*PROJ_1, "review"),
    "review-changes-requested": (*PROJ_1, "review"),
    "review-comment": (*PROJ_1, "review"),
    "status-failure": (*SHOP, "ci"),
    "status-pending": (*SHOP, "ci"),
    "status-success": (*SHOP, "ci"),
    "gitea-push": (*SAMPLE, "push"),
    "gitea-pr-merged": (*SAMPLE, "pull-request"),
    "gitea-pr-opened": (*SAMPLE, "pull-request"),
    "gitea-review-approved": (*SAMPLE, "review"),
    "gitea-review-rejected": (*SAMPLE, "review"),
    "gitea-status-failure": (*SAMPLE, "ci"),
    "gitea-status-success": (*SAMPLE, "ci"),
    "plane-issue-comment": (*API, "ticket"),
    "plane-issue-created": (*ET_42, "ticket"),
    "plane-issue-state-changed": (*ET_42, "ticket"),
}
IGNORED = {
    "push-tag": "not a branch",
    "push-tag-deleted": "not a branch",
    "issue_comment-on-pr": "event not used",
    "pull_request-labelled": "event not used",
}


@pytest.fixture(autouse=True)
def items(ingress: Ingress) -> None:
    """The items of both tickets are under way."""
    ingress.store.items = {
        (NAMESPACE, "shop-proj-1"): item("shop-proj-1", of="shop", branch="feature/PROJ-1"),
        (NAMESPACE, "api-et-42"): item("api-et-42", of="api", branch="feature/ET-42-retry", issue=ISSUE),
    }


def test_payload_folder_names_no_delivery_without_an_expectation() -> None:
    assert {name for _, name in deliveries.names()} == set(WRITES) | set(IGNORED)


@pytest.mark.parametrize(("folder", "name"), [pair for pair in deliveries.names() if pair[1] in WRITES])
async def test_recorded_delivery_is_stored_as_one_hint(ingress: Ingress, folder: str, name: str) -> None:
    kind, target, hint = WRITES[name]
    said = await ingress.send(deliveries.load(folder, name))
    assert (said.code, said.body) == (202, {"status": "accepted"})
    assert list(ingress.hints(kind, target)) == [hint]
    assert len(ingress.store.writes) == 1


@pytest.mark.parametrize(("folder", "name"), [pair for pair in deliveries.names() if pair[1] in WRITES])
async def test_replayed_delivery_is_a_duplicate_without_a_write(ingress: Ingress, folder: str, name: str) -> None:
    delivery = deliveries.load(folder, name)
    await ingress.send(delivery)
    again = await ingress.send(delivery.changed(X_Gitea_Delivery="another", X_Plane_Delivery="another"))
    assert (again.code, again.body) == (200, {"status": "duplicate"})
    assert len(ingress.store.writes) == 1


@pytest.mark.parametrize(("folder", "name"), [pair for pair in deliveries.names() if pair[1] in IGNORED])
async def test_recorded_delivery_of_no_use_is_ignored_without_a_call(ingress: Ingress, folder: str, name: str) -> None:
    said = await ingress.send(deliveries.load(folder, name))
    assert (said.code, said.body) == (200, {"status": "ignored", "reason": IGNORED[name]})
    assert ingress.store.reads == 0
