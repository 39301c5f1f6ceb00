"""What a stored status says of the way of its item, told once to log and metrics."""

from __future__ import annotations

import logging
from datetime import datetime

from conveyor.api.objects import WorkItem
from conveyor.cluster.protocol import Key
from conveyor.engine.telemetry import Telemetry
from conveyor.pipeline.actions import Settle

logger = logging.getLogger(__name__)


def report(telemetry: Telemetry, item: WorkItem, action: Settle, *, now: datetime) -> None:
    """`item` as it was before the write that stored `action`."""
    key, status, last = str(Key(item.metadata.namespace, item.name)), action.status, action.status.last_run
    if action.moved is not None:
        entered = item.status.stage_entered_time
        seconds = (now - entered).total_seconds() if entered is not None else None
        telemetry.stage_moved(action.moved, seconds_in_stage=seconds)
        moved = {"from": action.moved.from_stage, "to": action.moved.to_stage, "cause": action.moved.cause}
        logger.info("stage moved", extra={"key": key, **moved})
    verdict = status.monitor.verdict if status.monitor is not None else ""
    if item.status.monitor is not None and verdict not in ("", item.status.monitor.verdict):
        telemetry.monitor_ended(verdict)
        logger.info("watch ended", extra={"key": key, "verdict": verdict})
    if last is not None and last != item.status.last_run and status.active_run is None:
        took = (last.finished_time - last.started_time).total_seconds()
        telemetry.run_finished(last.role.value, last.verdict.value, seconds=took)
