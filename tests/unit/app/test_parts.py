"""What an operator process is made of."""

import asyncio

import pytest
from kubernetes.aio.client import Configuration

from conveyor.app.operator import Operator
from conveyor.app.settings import load
from conveyor.cluster.connection import Connection


@pytest.mark.parametrize(("switch", "asked"), [("true", True), ("false", False)])
async def test_tracker_is_asked_for_changed_tickets_unless_that_is_off(switch: str, asked: bool) -> None:
    async with Connection(Configuration(host="http://127.0.0.1:1")) as connection:
        operator = Operator(load({"CONVEYOR_RECONCILE_TRACKER_ENABLED": switch}), connection)
        parts = operator._parts(asyncio.Event())
        tasks = [asyncio.create_task(part) for part in parts.values()]
        await asyncio.sleep(0)  # a part that never began would not clear up behind itself
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert ("poll" in parts, "reaper" in parts) == (asked, True)
