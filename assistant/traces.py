"""OpenTelemetry: a trace for each answer and the GenAI metrics, sent by OTLP over HTTP. Off unless an address is set.

Names are those of the semantic conventions for generative AI; what they have none for begins with `quoth.`. No text of
questions, documents or answers is sent, only ids, names, counts and times.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as measures
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from assistant.model import Answer, AnswerId
from assistant.watching import CallMade
from ingest.metering import Purpose

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
TIMEOUT_S: Final = 3.0  # of sending; an address that does not answer must not keep a command from ending
METRICS_EVERY_MS: Final = 30_000
MOST_OPEN: Final = 1000  # answers whose end never came
STAGES: Final = ("embed", "mask", "lexical", "dense", "fuse", "rerank")  # in the order they are done
OPERATIONS: Final[Mapping[Purpose, str]] = {"embed": "embeddings", "moderate": "moderation"}  # others: chat


class Traces:
    """A Watch that sends what it is told.

    Args:
        endpoint: the collector's address, without /v1/traces.
    """

    def __init__(self, endpoint: str) -> None:
        base = endpoint.rstrip("/")
        resource = Resource.create({"service.name": "quoth"})
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=TIMEOUT_S))
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=TIMEOUT_S),
            export_interval_millis=METRICS_EVERY_MS,
        )
        self._meters = MeterProvider(resource=resource, metric_readers=[reader])
        self._tracer = self._tracers.get_tracer("quoth")
        meter = self._meters.get_meter("quoth")
        self._duration = meter.create_histogram(measures.GEN_AI_CLIENT_OPERATION_DURATION, unit="s")
        self._used = meter.create_histogram(measures.GEN_AI_CLIENT_TOKEN_USAGE, unit="{token}")
        self._lock = threading.Lock()
        self._open: OrderedDict[AnswerId, tuple[Span, int]] = OrderedDict()  # with the time it began

    def begun(self, answer: AnswerId) -> None:
        began = time.time_ns()
        span = self._tracer.start_span(
            "invoke_workflow answer",
            start_time=began,
            attributes={
                names.GEN_AI_OPERATION_NAME: "invoke_workflow",
                names.GEN_AI_WORKFLOW_NAME: "answer",
                "quoth.answer.id": str(answer),
            },
        )
        with self._lock:
            self._open[answer] = (span, began)
            lost = self._open.popitem(last=False)[1][0] if len(self._open) > MOST_OPEN else None
        if lost is not None:
            lost.end()

    def called(self, made: CallMade) -> None:
        operation = OPERATIONS.get(made.purpose, "chat")
        common = {
            names.GEN_AI_OPERATION_NAME: operation,
            names.GEN_AI_PROVIDER_NAME: "openai",
            names.GEN_AI_REQUEST_MODEL: made.model,
        }
        failed = made.status not in ("done", "left")  # a reader who leaves is no error
        error = {ERROR_TYPE: made.status} if failed else {}
        ended = round(made.ended_at * 1e9)
        with self._lock:
            parent = self._open.get(made.answer) if made.answer is not None else None
        span = self._tracer.start_span(
            f"{operation} {made.model}",
            context=set_span_in_context(parent[0]) if parent is not None else None,
            kind=SpanKind.CLIENT,
            start_time=ended - round(made.ms * 1e6),
            attributes={
                **common,
                **error,
                names.GEN_AI_USAGE_INPUT_TOKENS: made.usage.input_tokens,
                names.GEN_AI_USAGE_OUTPUT_TOKENS: made.usage.output_tokens,
                names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: made.usage.cached_input_tokens,
                "quoth.purpose": made.purpose,
                "quoth.cost_usd": made.usage.cost_usd,
            },
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)
        self._duration.record(made.ms / 1000, {**common, **error})
        for kind, tokens in (("input", made.usage.input_tokens), ("output", made.usage.output_tokens)):
            if tokens:
                self._used.record(tokens, {**common, names.GEN_AI_TOKEN_TYPE: kind})

    def ended(self, answer: AnswerId, kept: Answer | None) -> None:
        with self._lock:
            found = self._open.pop(answer, None)
        if found is None:
            return
        span, began = found
        if kept is None:
            span.set_attribute("quoth.status", "none")
            span.end()
            return
        span.set_attributes(
            {
                names.GEN_AI_CONVERSATION_ID: str(kept.conversation),
                names.GEN_AI_PROMPT_NAME: kept.prompt_version,
                names.GEN_AI_RESPONSE_MODEL: kept.model,
                "quoth.status": kept.status,
                "quoth.degraded": kept.degraded is not None,
                "quoth.claims": len(kept.claims),
                "quoth.claims.left_out": len(kept.rejected),
                "quoth.passages": len(kept.passages),
            }
        )
        self._retrieval(span, began, kept.timings_ms)
        span.end()

    def _retrieval(self, parent: Span, began: int, timings_ms: Mapping[str, float | None]) -> None:
        """Spans of the search and its stages, laid one after another as they were done, from what each took."""
        at = began + _ns(timings_ms.get("standalone"))
        search = self._tracer.start_span(
            "retrieval",
            context=set_span_in_context(parent),
            start_time=at,
            attributes={names.GEN_AI_OPERATION_NAME: "retrieval"},
        )
        for stage in STAGES:
            took = timings_ms.get(f"search_{stage}")
            if took is None:
                continue
            span = self._tracer.start_span(f"retrieval {stage}", context=set_span_in_context(search), start_time=at)
            at += _ns(took)
            span.end(at)
        search.end(max(at, began + _ns(timings_ms.get("retrieve"))))

    def close(self) -> None:
        """Send what is left."""
        self._tracers.force_flush(round(TIMEOUT_S * 1000))
        self._tracers.shutdown()
        self._meters.shutdown(TIMEOUT_S * 1000)


def _ns(ms: float | None) -> int:
    return round((ms or 0.0) * 1e6)
