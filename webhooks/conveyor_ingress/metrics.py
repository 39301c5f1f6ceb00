"""The ingress's metrics. All label values are known at start, and every series begins at zero."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

from conveyor_ingress.answers import AFTER_VERIFICATION, BEFORE_VERIFICATION, Answer
from conveyor_ingress.senders import SENDERS

UNKNOWN_SOURCE = "unknown"
UNVERIFIED = "unverified"
"""The event of a delivery that was refused before its signature was believed: what it names is not looked at."""


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._webhooks = Counter(
            "conveyor_webhooks",
            "Webhook deliveries by sender, verified event and answer.",
            ["source", "event", "answer"],
            registry=self._registry,
        )
        self._duration = Histogram(
            "conveyor_webhook_duration_seconds",
            "Time from a delivery's headers to its answer.",
            ["source"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )
        self._refused = Counter(
            "conveyor_ingress_connections_refused",
            "Connections closed at once because too many were open.",
            registry=self._registry,
        )
        sources = (*SENDERS, UNKNOWN_SOURCE)
        words = [(source, UNVERIFIED, answer.word) for source in sources for answer in BEFORE_VERIFICATION]
        words += [
            (sender.name, event, word)
            for sender in SENDERS.values()
            for event in sender.events
            for word in AFTER_VERIFICATION
        ]
        # Looked up once, and not for each of a stranger's requests.
        self._counts = {labels: self._webhooks.labels(*labels) for labels in words}
        self._durations = {source: self._duration.labels(source) for source in sources}

    def answered(self, answer: Answer, *, source: str, event: str, seconds: float) -> None:
        self._counts[source, event, answer.word].inc()
        self._durations[source].observe(seconds)

    def not_http(self, answer: Answer) -> None:
        self._counts[UNKNOWN_SOURCE, UNVERIFIED, answer.word].inc()

    def connection_refused(self) -> None:
        self._refused.inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
