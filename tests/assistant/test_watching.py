"""Metrics fetched over HTTP and traces received over OTLP, of answers and calls; neither loaded when off."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from assistant.breaker import Breakers
from assistant.errors import ModelUnavailable
from assistant.gateway import Gateway
from assistant.metrics import Looks, Metrics
from assistant.model import Answer, AnswerEvent, AnswerId, Begun, ConversationId
from assistant.settings import Settings
from assistant.traces import Traces
from assistant.watching import CallMade, Watch, watched
from evals.bench.loopback_model import LoopbackModel
from ingest.access import LOCAL
from ingest.errors import CallFailed, ConfigurationError, ServiceError
from ingest.metering import Caller, Usage

ID = AnswerId(uuid.UUID(int=7))
CALL = CallMade("answer", "gpt-6-luna", ID, "done", Usage(120, 20, 30, 0.002), time.time(), 250.0)
ANSWER = Answer(
    id=ID, conversation=ConversationId(uuid.UUID(int=8)), question="Whose secret is it?", status="answered",
    text="Nobody's secret.", claims=(), citations=(), passages=(), missing=None, model="gpt-6-luna",
    prompt_version="answer-1", degraded=None, usage=Usage(), timings_ms={"search_dense": 20.0, "retrieve": 40.0,
    "first_token": None, "total": 400.0},
)  # fmt: skip


def looks(**changed: object) -> Looks:
    usual = Looks(
        lambda: {"gpt-6-luna": "half-open"}, lambda: {"waiting": 3}, lambda: (4, 5), lambda: {("reader", "busy"): 1}
    )
    return replace(usual, **changed)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def values(text: str) -> dict[str, float]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_are_fetched_over_http() -> None:
    metrics = Metrics(looks())
    metrics.called(CALL)
    metrics.called(replace(CALL, status="limited", usage=Usage(), ms=0.0))
    metrics.ended(ID, replace(ANSWER, degraded="a limit"))
    metrics.ended(ID, None)
    port = free_port()
    close = metrics.serve("127.0.0.1", port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
            found = values(response.read().decode())
        with pytest.raises(ConfigurationError, match=f"{port}.*QUOTH_METRICS_PORT"):
            metrics.serve("127.0.0.1", port)
    finally:
        close()
    model = 'model="gpt-6-luna",purpose="answer"'
    expected = {
        'quoth_answers_total{degraded="yes",status="answered"}': 1,
        'quoth_answers_total{degraded="no",status="none"}': 1,
        "quoth_answer_seconds_sum": 0.4,
        'quoth_stage_seconds_sum{stage="search_dense"}': 0.02,
        f'quoth_model_calls_total{{{model},status="done"}}': 1,
        f'quoth_model_calls_total{{{model},status="limited"}}': 1,
        f"quoth_model_call_seconds_count{{{model}}}": 1,
        f'quoth_model_tokens_total{{kind="input",{model}}}': 100,
        f'quoth_model_tokens_total{{kind="cached input",{model}}}': 20,
        f'quoth_model_tokens_total{{kind="output",{model}}}': 30,
        f"quoth_model_cost_usd_total{{{model}}}": 0.002,
        'quoth_breaker_state{model="gpt-6-luna"}': 1,
        'quoth_queue_files{state="waiting"}': 3,
        'quoth_answer_cache_total{outcome="hit"}': 4,
        'quoth_database_connections{role="reader",state="busy"}': 1,
        "quoth_database_up": 1,
    }
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert 'quoth_stage_seconds_count{stage="first_token"}' not in found


def test_two_sets_of_metrics_do_not_share_a_registry_and_a_database_that_is_down_is_a_value() -> None:
    def down() -> dict[str, int]:
        raise ServiceError("down")

    first, second = Metrics(looks()), Metrics(looks(queue=down))
    first.called(CALL)
    assert not any(
        sample.name == "quoth_model_calls_total" for one in second.registry.collect() for sample in one.samples
    )
    ups = {one.name: one.samples for one in second.registry.collect()}
    assert ups["quoth_database_up"][0].value == 0 and ups["quoth_queue_files"] == []


@pytest.mark.parametrize("value", ["0", "65535", "x", "host:", "127.0.0.1:http"])
def test_a_wrong_port_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="QUOTH_METRICS_PORT"):
        Settings.from_env({"QUOTH_METRICS_PORT": value})


def test_metrics_listen_on_the_loopback_unless_told() -> None:
    assert Settings.from_env({}).metrics is None
    assert Settings.from_env({"QUOTH_METRICS_PORT": "9464"}).metrics == ("127.0.0.1", 9464)
    assert Settings.from_env({"QUOTH_METRICS_PORT": "0.0.0.0:9464"}).metrics == ("0.0.0.0", 9464)
    assert Settings.from_env({"QUOTH_METRICS_PORT": "[::1]:9464"}).metrics == ("::1", 9464)


# -- traces -----------------------------------------------------------------------------------------------------------


class Receiver(BaseHTTPRequestHandler):
    """What a collector is to us: it takes OTLP over HTTP and reads it."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.server.raw.append(body)
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        elif self.path == "/v1/metrics":
            for one in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.server.measures |= {metric.name for scope in one.scope_metrics for metric in scope.metrics}
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *about: object) -> None:
        pass


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Span] = []
        self.measures: set[str] = set()
        self.raw: list[bytes] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_an_answer_is_one_trace_with_its_calls_and_stages_and_no_text() -> None:
    with collecting() as collector:
        traces = Traces(collector.endpoint)
        traces.begun(ID)
        traces.called(replace(CALL, ended_at=time.time()))
        traces.called(replace(CALL, purpose="embed", model="text-embedding-3-small", status="unavailable"))
        traces.called(replace(CALL, answer=None))
        traces.ended(ID, ANSWER)
        traces.close()
    spans = {span.name: span for span in collector.spans if span.parent_span_id or span.name.startswith("invoke")}
    root = spans["invoke_workflow answer"]
    assert set(spans) == {
        "invoke_workflow answer", "chat gpt-6-luna", "embeddings text-embedding-3-small", "retrieval", "retrieval dense",
    }  # fmt: skip
    assert {span.trace_id for span in spans.values()} == {root.trace_id}
    assert spans["chat gpt-6-luna"].parent_span_id == spans["retrieval"].parent_span_id == root.span_id
    assert spans["retrieval dense"].parent_span_id == spans["retrieval"].span_id
    told = attributes(spans["chat gpt-6-luna"])
    assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.usage.input_tokens"] == 120 and told["gen_ai.usage.cache_read.input_tokens"] == 20
    assert told["quoth.purpose"] == "answer" and told["quoth.cost_usd"] == 0.002
    assert spans["chat gpt-6-luna"].kind == Span.SPAN_KIND_CLIENT
    assert (spans["chat gpt-6-luna"].end_time_unix_nano - spans["chat gpt-6-luna"].start_time_unix_nano) == 250_000_000
    failed = spans["embeddings text-embedding-3-small"]
    assert attributes(failed)["error.type"] == "unavailable" and failed.status.code == 2
    of_answer = attributes(root)
    assert of_answer["quoth.answer.id"] == str(ID) and of_answer["quoth.status"] == "answered"
    assert of_answer["gen_ai.conversation.id"] == str(ANSWER.conversation)
    assert sum(span.name == "chat gpt-6-luna" and not span.parent_span_id for span in collector.spans) == 1
    assert {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} <= collector.measures
    assert not any(b"secret" in body for body in collector.raw)


def test_an_address_that_does_not_answer_keeps_nobody() -> None:
    traces = Traces("http://127.0.0.1:9")
    traces.begun(ID)
    traces.ended(ID, None)
    started = time.monotonic()
    traces.close()
    assert time.monotonic() - started < 60  # of itself the exporter tries again for ever


# -- who is told ------------------------------------------------------------------------------------------------------


class Noted(Watch):
    def __init__(self) -> None:
        self.said: list[str] = []

    def begun(self, answer: AnswerId) -> None:
        self.said.append("begun")

    def called(self, made: CallMade) -> None:
        self.said.append(made.status)

    def ended(self, answer: AnswerId, kept: Answer | None) -> None:
        self.said.append("stopped" if kept is None else kept.status)


def test_a_stopped_answer_ends_too_and_is_closed() -> None:
    closed: list[bool] = []

    def events() -> Iterator[AnswerEvent]:
        try:
            yield Begun(ID, ANSWER.conversation)
            yield ANSWER
        finally:
            closed.append(True)

    noted = Noted()
    assert list(watched(events(), [noted]))[-1] is ANSWER
    stopped = watched(events(), [noted])
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]
    assert noted.said == ["begun", "answered", "begun", "stopped"] and closed == [True, True]


def test_the_gateway_tells_of_calls_that_were_made_and_of_those_that_were_not() -> None:
    noted = Noted()
    gateway = Gateway(Breakers(failures=1), watches=[noted])
    with pytest.raises(CallFailed), gateway.begin(Caller(LOCAL), "rerank", "m", sent_bytes=1, within_s=5):
        raise CallFailed("down", "unavailable")
    with pytest.raises(ModelUnavailable):
        gateway.begin(Caller(LOCAL), "rerank", "m", sent_bytes=1, within_s=5)
    assert noted.said == ["unavailable", "left alone"]


def test_nothing_of_it_is_loaded_when_it_is_off() -> None:
    script = (
        "import sys; import assistant.bootstrap, ui.command\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.integration
def test_a_store_shows_its_metrics_and_sends_its_traces(environ: dict[str, str], tmp_path: Path) -> None:
    from assistant.bootstrap import Quoth

    file = tmp_path / "leave.txt"
    file.write_text("Parental leave lasts twenty weeks for every parent.\n")
    with LoopbackModel() as double, collecting() as collector:
        port = free_port()
        wanted = {
            **environ, "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": double.base_url, "QUOTH_MODELS": "gpt-6-luna",
            "QUOTH_METRICS_PORT": str(port), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        }  # fmt: skip
        with Quoth(Settings.from_env(wanted), wanted, lambda said: None) as store:
            list(store.pipeline.add([file]))
            store.serve_metrics()
            list(store.ask("How many weeks does parental leave last?", LOCAL))
            list(store.ask("How many weeks does parental leave last?", LOCAL))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
                found = values(response.read().decode())
    assert found['quoth_answers_total{degraded="no",status="answered"}'] == 2
    assert found['quoth_model_calls_total{model="gpt-6-luna",purpose="answer",status="done"}'] == 1
    assert found['quoth_answer_cache_total{outcome="hit"}'] == 1  # the second asker's draft
    assert found['quoth_queue_files{state="waiting"}'] == 0 and found["quoth_database_up"] == 1
    assert [span.name for span in collector.spans].count("invoke_workflow answer") == 2
    assert not any(b"twenty weeks" in body or b"How many" in body for body in collector.raw)
