"""Prometheus metrics of one process: answers, stages, calls of models, breakers, queue, cache, connections.

The registry is made here and not on import; without QUOTH_METRICS_PORT neither it nor its package is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from assistant.breaker import State
from assistant.watching import CallMade
from ingest.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from assistant.model import Answer, AnswerId

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)
BREAKER_STATES: Final[Mapping[State, int]] = {"closed": 0, "half-open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class Looks:
    """What is looked at when metrics are fetched, rather than counted as it happens."""

    breakers: Callable[[], Mapping[str, State]]
    queue: Callable[[], Mapping[str, int]]  # files by state; may raise ServiceError
    cache: Callable[[], tuple[int, int]]  # (hits, misses)
    connections: Callable[[], Mapping[tuple[str, str], int]]  # by role and state


class Metrics(Collector):
    """A Watch that counts for Prometheus."""

    def __init__(self, looks: Looks) -> None:
        self.registry = CollectorRegistry()
        self._looks = looks
        calls = ("model", "purpose")
        self._answers = Counter("quoth_answers", "Answers.", ("status", "degraded"), registry=self.registry)
        self._answer_s = Histogram(
            "quoth_answer_seconds", "From question to whole answer.", registry=self.registry, buckets=BUCKETS_S
        )
        self._stage_s = Histogram(
            "quoth_stage_seconds", "Parts of answering.", ("stage",), registry=self.registry, buckets=BUCKETS_S
        )
        self._calls = Counter("quoth_model_calls", "Calls of models.", (*calls, "status"), registry=self.registry)
        self._call_s = Histogram(
            "quoth_model_call_seconds", "Calls of models.", calls, registry=self.registry, buckets=BUCKETS_S
        )
        self._tokens = Counter("quoth_model_tokens", "Tokens of models.", (*calls, "kind"), registry=self.registry)
        self._cost = Counter("quoth_model_cost_usd", "Cost of models in US dollars.", calls, registry=self.registry)
        self.registry.register(self)

    def begun(self, answer: AnswerId) -> None:
        """Nothing is counted yet."""

    def called(self, made: CallMade) -> None:
        self._calls.labels(made.model, made.purpose, made.status).inc()
        if made.status in ("limited", "left alone"):
            return
        self._call_s.labels(made.model, made.purpose).observe(made.ms / 1000)
        for kind, tokens in (
            ("input", made.usage.input_tokens - made.usage.cached_input_tokens),
            ("cached input", made.usage.cached_input_tokens),
            ("output", made.usage.output_tokens),
        ):
            self._tokens.labels(made.model, made.purpose, kind).inc(tokens)
        self._cost.labels(made.model, made.purpose).inc(made.usage.cost_usd)

    def ended(self, answer: AnswerId, kept: Answer | None) -> None:
        if kept is None:
            self._answers.labels("none", "no").inc()
            return
        self._answers.labels(kept.status, "yes" if kept.degraded else "no").inc()
        for name, ms in kept.timings_ms.items():
            if ms is None:
                continue
            if name == "total":
                self._answer_s.observe(ms / 1000)
            else:
                self._stage_s.labels(name).observe(ms / 1000)

    def collect(self) -> Iterator[Metric]:
        """What is looked at now."""
        breakers = GaugeMetricFamily(
            "quoth_breaker_state", "0: calls go through, 1: being tried, 2: left alone.", labels=("model",)
        )
        for model, state in self._looks.breakers().items():
            breakers.add_metric((model,), BREAKER_STATES[state])
        yield breakers
        hits, misses = self._looks.cache()
        cache = CounterMetricFamily("quoth_answer_cache", "Drafts looked for in the cache.", labels=("outcome",))
        cache.add_metric(("hit",), hits)
        cache.add_metric(("miss",), misses)
        yield cache
        pool = GaugeMetricFamily("quoth_database_connections", "Connections.", labels=("role", "state"))
        for key, count in self._looks.connections().items():
            pool.add_metric(key, count)
        yield pool
        queue = GaugeMetricFamily("quoth_queue_files", "Files of the queue.", labels=("state",))
        up = GaugeMetricFamily("quoth_database_up", "Whether the database answers.")
        try:
            for name, count in self._looks.queue().items():
                queue.add_metric((name,), count)
            up.add_metric((), 1)
        except ServiceError:  # a store that is down is a value, not an error of whoever asks
            up.add_metric((), 0)
        yield queue
        yield up

    def describe(self) -> Iterator[Metric]:
        """Nothing: or registering would look at everything."""
        return iter(())

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer at http://host:port/metrics from a thread; returns what ends it.

        Raises:
            ConfigurationError: the port is taken, or may not be used.
        """
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise ConfigurationError(
                f"Metrics cannot be shown at {host}:{port} ({error.strerror}). Set QUOTH_METRICS_PORT to a free port, "
                "or unset it."
            ) from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close
