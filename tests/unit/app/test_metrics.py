"""Metrics: the promised names, zeros from the start, bounded labels, and what each event counts."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conveyor.api.stages import EDGES, Stage
from conveyor.api.workitem import Cause
from conveyor.app.metrics import Metrics
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.cache import Cache
from conveyor.engine.telemetry import Telemetry
from conveyor.pipeline.actions import Moved

PROMISED = {
    "conveyor_workitems": "gauge",
    "conveyor_transitions": "counter",
    "conveyor_stage_duration_seconds": "histogram",
    "conveyor_effects": "counter",
    "conveyor_effect_duration_seconds": "histogram",
    "conveyor_conflicts": "counter",
    "conveyor_leader": "gauge",
    "conveyor_leases_held": "gauge",
    "conveyor_lease_takeovers": "counter",
    "conveyor_runs": "gauge",
    "conveyor_run_duration_seconds": "histogram",
    "conveyor_facts_learned": "counter",
    "conveyor_queue_depth": "gauge",
    "conveyor_reconcile_duration_seconds": "histogram",
    "conveyor_watch_age_seconds": "gauge",
    "conveyor_loop_lag_seconds": "histogram",
    "conveyor_monitor_verdicts": "counter",
    "conveyor_freezes": "gauge",
    "conveyor_gate_errors": "counter",
    "conveyor_invariant_violations": "gauge",
}
"""What dashboards and alerts rely on; a counter's samples end in `_total`."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics) -> dict[str, float]:
    """`name{label=value,…}` to value, without buckets and creation times."""
    found = {}
    for family in text_string_to_metric_families(metrics.expose().decode()):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created")):
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def changed(metrics: Metrics, *, before: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in samples(metrics).items() if before.get(name) != value and _ours(name)}


def _ours(name: str) -> bool:
    return name.startswith("conveyor_")


def test_promised_metrics_are_there_by_name_and_type(metrics: Metrics) -> None:
    families = text_string_to_metric_families(metrics.expose().decode())
    found = {family.name: family.type for family in families if _ours(family.name)}
    ours = {name: kind for name, kind in found.items() if not name.endswith("_created")}
    assert ours == PROMISED | {"conveyor_reconcile_errors": "counter"}


def test_everything_begins_at_zero(metrics: Metrics) -> None:
    assert {value for name, value in samples(metrics).items() if _ours(name)} == {0.0}


@pytest.mark.parametrize(
    "series",
    [
        "conveyor_transitions_total{cause=gates,from=analysis,to=architecture}",
        "conveyor_transitions_total{cause=CI,from=review,to=development}",
        "conveyor_effects_total{effect=Merge,result=unknown}",
        "conveyor_conflicts_total{}",
        "conveyor_lease_takeovers_total{reason=Forced}",
        "conveyor_run_duration_seconds_count{role=tester,verdict=infrastructure}",
        "conveyor_facts_learned_total{source=Plane,via=poll}",
        "conveyor_monitor_verdicts_total{verdict=Degraded}",
        "conveyor_gate_errors_total{}",
        "conveyor_invariant_violations{what=WriteRejected}",
        "conveyor_runs{role=developer,state=running}",
    ],
)
def test_a_first_failure_is_a_rise(metrics: Metrics, series: str) -> None:
    assert samples(metrics)[series] == 0.0


def test_every_edge_has_a_series_from_the_start(metrics: Metrics) -> None:
    edges = {f"from={start},to={end}}}" for start, ends in EDGES.items() for end in ends}
    found = {name.split(",", 1)[1] for name in samples(metrics) if name.startswith("conveyor_transitions_total")}
    assert edges <= found


def test_it_is_what_the_engine_reports_to(metrics: Metrics) -> None:
    engine: Telemetry = metrics
    before = samples(metrics)
    engine.stage_moved(Moved(Stage.REVIEW, Stage.DEVELOPMENT, Cause.REVIEW.value), seconds_in_stage=12.0)
    engine.effect_applied("Merge", "applied", seconds=0.5)
    engine.run_finished("tester", "pass", seconds=60.0)
    engine.monitor_ended("Degraded")
    engine.conflict()
    engine.fact_learned("Gitea", "webhook")
    engine.gate_error()
    engine.invariant_violated("WriteRejected")
    assert changed(metrics, before=before) == {
        "conveyor_transitions_total{cause=Review,from=review,to=development}": 1,
        "conveyor_stage_duration_seconds_count{stage=review}": 1,
        "conveyor_stage_duration_seconds_sum{stage=review}": 12.0,
        "conveyor_effects_total{effect=Merge,result=applied}": 1,
        "conveyor_effect_duration_seconds_count{effect=Merge}": 1,
        "conveyor_effect_duration_seconds_sum{effect=Merge}": 0.5,
        "conveyor_run_duration_seconds_count{role=tester,verdict=pass}": 1,
        "conveyor_run_duration_seconds_sum{role=tester,verdict=pass}": 60.0,
        "conveyor_monitor_verdicts_total{verdict=Degraded}": 1,
        "conveyor_conflicts_total{}": 1,
        "conveyor_facts_learned_total{source=Gitea,via=webhook}": 1,
        "conveyor_gate_errors_total{}": 1,
        "conveyor_invariant_violations{what=WriteRejected}": 1,
    }


def test_a_new_item_comes_from_nowhere(metrics: Metrics) -> None:
    before = samples(metrics)
    metrics.stage_moved(Moved(None, Stage.CREATED, "seen"), seconds_in_stage=None)
    assert changed(metrics, before=before) == {"conveyor_transitions_total{cause=seen,from=none,to=created}": 1}


def test_unknown_label_values_are_counted_as_other(metrics: Metrics) -> None:
    before = set(samples(metrics))
    for number in range(50):
        text = f"#{number} was merged by {number}"
        metrics.stage_moved(Moved(Stage.REVIEW, Stage.DONE, text), seconds_in_stage=1.0)
        metrics.effect_applied(text, text, seconds=1.0)
        metrics.run_finished(text, text, seconds=1.0)
        metrics.monitor_ended(text)
        metrics.fact_learned(text, text)
        metrics.invariant_violated(text)
        metrics.pass_finished(text, seconds=1.0)
    new = set(samples(metrics)) - before
    assert len(new) <= 10
    assert all("other" in name for name in new)


def test_passes_are_counted_by_outcome_and_error(metrics: Metrics) -> None:
    before = samples(metrics)
    metrics.pass_failed("TimeoutError")
    metrics.pass_finished("Retry", seconds=2.0)
    metrics.loop_lag(0.25)
    assert changed(metrics, before=before) == {
        "conveyor_reconcile_errors_total{error=TimeoutError}": 1,
        "conveyor_reconcile_duration_seconds_count{outcome=Retry}": 1,
        "conveyor_reconcile_duration_seconds_sum{outcome=Retry}": 2.0,
        "conveyor_loop_lag_seconds_count{}": 1,
        "conveyor_loop_lag_seconds_sum{}": 0.25,
    }


def test_present_values_are_asked_for_at_each_scrape(metrics: Metrics) -> None:
    metrics.read_from(
        leads=lambda: True, queue_depth=lambda: 3, watch_age=lambda: 1.5, freezes=lambda: 2, leases=lambda: 4
    )
    found = samples(metrics)
    names = ("leader", "queue_depth", "watch_age_seconds", "freezes", "leases_held")
    assert [found[f"conveyor_{name}{{}}"] for name in names] == [1, 3, 1.5, 2, 4]


# --- items, counted as they change


class Store:
    """A cache whose changes the metrics are told of."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._cache, self._version = metrics, Cache(), 0

    def put(self, name: str, stage: str, *, repository: str = "shop", **status: JSONObject) -> None:
        spec = {"repositoryRef": {"name": repository}}
        self._metrics.item_changed(
            self._cache.put_item({"metadata": self._metadata(name), "spec": spec, "status": {"stage": stage} | status})
        )

    def drop(self, name: str) -> None:
        metadata = self._metadata(name)
        key = next(record.key for record in self._cache.items if record.key.name == name)
        self._metrics.item_changed(self._cache.drop_item(key, uid=metadata["uid"], version=self._version))

    def _metadata(self, name: str) -> JSONObject:
        self._version += 1
        return {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(self._version)}


@pytest.fixture
def store(metrics: Metrics) -> Store:
    return Store(metrics)


def above_zero(metrics: Metrics, name: str) -> dict[str, float]:
    return {found: value for found, value in samples(metrics).items() if value and found.startswith(name)}


def test_items_are_counted_by_repository_and_stage(metrics: Metrics, store: Store) -> None:
    store.put("one", "review")
    store.put("two", "review")
    store.put("three", "done", repository="bank")
    assert above_zero(metrics, "conveyor_workitems") == {
        "conveyor_workitems{repository=shop,stage=review}": 2,
        "conveyor_workitems{repository=bank,stage=done}": 1,
    }


def test_an_item_that_moves_is_counted_where_it_is(metrics: Metrics, store: Store) -> None:
    store.put("one", "review")
    store.put("one", "testing")
    assert above_zero(metrics, "conveyor_workitems") == {"conveyor_workitems{repository=shop,stage=testing}": 1}


def test_a_repository_whose_items_are_gone_leaves_no_series(metrics: Metrics, store: Store) -> None:
    store.put("one", "review")
    store.drop("one")
    assert not [name for name in samples(metrics) if name.startswith("conveyor_workitems")]


def test_an_item_that_cannot_be_read_has_a_stage_of_its_own(metrics: Metrics, store: Store) -> None:
    store.put("one", "tomorrow")
    assert above_zero(metrics, "conveyor_workitems") == {"conveyor_workitems{repository=shop,stage=unreadable}": 1}


def test_runs_are_counted_while_they_work_or_wait_for_a_slot(metrics: Metrics, store: Store) -> None:
    store.put("one", "development", activeRun={"role": "developer"})
    store.put("two", "review", waiting={"reason": "RunSlot"})
    store.put("three", "testing", activeRun={"role": "tester"})
    store.put("three", "testing")
    assert above_zero(metrics, "conveyor_runs") == {
        "conveyor_runs{role=developer,state=running}": 1,
        "conveyor_runs{role=reviewer,state=waiting}": 1,
    }


def test_no_series_names_an_item(metrics: Metrics, store: Store) -> None:
    store.put("shop-et-17", "review")
    assert b"shop-et-17" not in metrics.expose()
