"""`list`: order of the rows, whole tables, and what the selectors leave out."""

import json

from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import active_run, ago, at, item, stalled, waiting
from tests.unit.cli.sessions import command

AT_WORK = item(
    "shop-et-17",
    status=at("development", waiting=waiting("Run", "the developer is at work"), activeRun=active_run())
    | {"branch": "feature/ET-17-mend", "pullRequest": {"number": 7, "url": "https://git.test/7"}},
)
OLDER = item("shop-et-18", status=at("created", waiting=waiting("EarlierItem")), created=ago(hours=4))
URGENT = item("shop-et-19", status=at("created", waiting=waiting("EarlierItem")), spec={"priority": 5})
STALLED = item("web-ab-3", repository="web", status=at("review", **stalled("RetriesExhausted")), created=ago(days=3))
DONE = item("shop-et-2", status=at("done"), created=ago(days=9))
NEW = item("shop-et-21", created=ago(seconds=5))
ALL = [DONE, OLDER, STALLED, URGENT, AT_WORK, NEW]


async def test_items_of_all_kinds_are_listed_under_way_first_then_queued_then_ended() -> None:
    result = await command(MemoryApi(ALL), "list")
    assert result.output == (
        "NAME         REPO   STAGE         WAITING       STALLED            ATTEMPT   IN-STAGE   AGE\n"
        "shop-et-17   shop   development   Run           -                  2         30m        5h\n"
        "shop-et-19   shop   created       EarlierItem   -                  -         30m        5h\n"
        "shop-et-18   shop   created       EarlierItem   -                  -         30m        4h\n"
        "shop-et-21   shop   -             -             -                  -         -          5s\n"
        "web-ab-3     web    review        Person        RetriesExhausted   -         30m        3d\n"
        "shop-et-2    shop   done          -             -                  -         30m        9d\n"
    )


async def test_items_of_equal_age_are_listed_by_name_whatever_their_order() -> None:
    ended = [item(f"shop-et-{number}", status=at("done")) for number in (5, 3, 4)]
    urgent = item("shop-et-9", status=at("review"), spec={"priority": 9})
    at_work = [urgent, *(item(f"shop-et-{number}", status=at("review")) for number in (8, 6, 7))]
    names = [f"workitem.conveyor.dev/shop-et-{number}" for number in (6, 7, 8, 9, 3, 4, 5)]
    for order in ([*ended, *at_work], [*reversed(at_work), *reversed(ended)]):
        assert (await command(MemoryApi(order), "list -o name")).output.split() == names


async def test_wide_output_shows_branch_pull_request_run_and_message_too() -> None:
    result = await command(MemoryApi([AT_WORK]), "list -o wide")
    assert result.output == (
        "NAME         REPO   KEY     STAGE         WAITING   STALLED   ATTEMPT   IN-STAGE   AGE   BRANCH               "
        "PR   RUN                               HOLDER   MESSAGE\n"
        "shop-et-17   shop   ET-17   development   Run       -         2         30m        5h    feature/ET-17-mend   "
        "7    shop-et-17-developer-4-abcd1234   -        the developer is at work\n"
    )


async def test_json_has_the_rows_of_the_table_in_its_order() -> None:
    table = (await command(MemoryApi(ALL), "list")).output.splitlines()[1:]
    rows = json.loads((await command(MemoryApi(ALL), "list -o json")).output)["items"]
    shown = [[row["name"], row["repository"], row["stage"] or "-", row["waiting"] or "-"] for row in rows]
    assert shown == [line.split()[:4] for line in table]


async def test_json_gives_times_and_not_ages() -> None:
    (row,) = json.loads((await command(MemoryApi([AT_WORK]), "list -o json")).output)["items"]
    assert (row["stageEnteredTime"], row["attempt"]) == ("2026-03-02T11:30:00Z", 2)


async def test_names_are_printed_as_kubectl_prints_them() -> None:
    result = await command(MemoryApi([OLDER, URGENT]), "list -o name")
    assert result.output == "workitem.conveyor.dev/shop-et-19\nworkitem.conveyor.dev/shop-et-18\n"


async def test_a_repository_is_named_the_others_are_left_out() -> None:
    result = await command(MemoryApi(ALL), "list --repository web -o name")
    assert result.output == "workitem.conveyor.dev/web-ab-3\n"


async def test_labels_are_selected_the_others_are_left_out() -> None:
    labelled = item("shop-et-30")
    labelled["metadata"]["labels"] = {"team": "red"}
    result = await command(MemoryApi([*ALL, labelled]), "list -l team=red -o name")
    assert result.output == "workitem.conveyor.dev/shop-et-30\n"


async def test_all_namespaces_are_asked_for_the_namespace_is_a_column() -> None:
    other = item("shop-et-1", namespace="other", status=at("review"))
    result = await command(MemoryApi([other, AT_WORK]), "list -A")
    assert [line.split()[:2] for line in result.output.splitlines()] == [
        ["NAMESPACE", "NAME"],
        ["other", "shop-et-1"],
        ["team", "shop-et-17"],
    ]


async def test_nothing_is_there_a_note_says_so_and_json_stays_json() -> None:
    empty, as_json = await command(MemoryApi(), "list"), await command(MemoryApi(), "list -o json")
    assert (empty.output, empty.notes) == ("", "there is nothing to show in namespace team\n")
    assert json.loads(as_json.output) == {"items": []}


async def test_an_item_of_a_newer_operator_is_listed_as_unreadable_among_the_others() -> None:
    newer = item("shop-et-40", status=at("canary"))
    result = await command(MemoryApi([newer, OLDER]), "list")
    lines = [line.split()[:4] for line in result.output.splitlines()[1:]]
    assert lines == [["shop-et-40", "shop", "canary", "Unreadable"], ["shop-et-18", "shop", "created", "EarlierItem"]]
