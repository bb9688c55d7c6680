"""The log as a collector reads it, and what never gets into it; of a process of its own, as it is served."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from ingest.errors import ConfigurationError
from ui.log_lines import REQUEST_ID, JsonLines, TextLines, start_logging

SERVED = """
import os, sys, types, uvicorn
from assistant.callers import LOCAL_CALLER
from ui.api.app import api_app
from ui.log_lines import start_logging

class Doors:
    def take(self, who, per_minute):
        return 0.0

class Breaking:
    shared_doors = Doors()
    def ask(self, question, reader, **_):
        yield __import__("assistant.model").model.Begun(None, None)
        raise RuntimeError(f"cannot make sense of {question!r}")
    def search(self, question, reader, **_):
        raise KeyError(question)

start_logging(os.environ)
app = api_app(Breaking, lambda: None, tokens=None, local=True, hosts=None, requests_per_minute=1000)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", log_config=None)
"""


def test_no_word_of_a_question_that_broke_something_is_logged() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-c", SERVED, str(port)], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "QUOTH_LOG": "json", "QUOTH_LOG_LEVEL": "debug"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(1200):
            try:
                httpx.get(f"{address}/health")
                break
            except httpx.TransportError:
                assert served.poll() is None
                time.sleep(0.1)
        question = "Was Zebulon dismissed for xylophagy?"
        ids = []
        for path, more in (("answers", {}), ("answers", {"stream": True}), ("search", {})):
            said = httpx.post(f"{address}/{path}", json={"question": question, **more}, timeout=60)
            assert "Zebulon" not in said.text
            ids.append(said.headers.get("x-request-id") or said.json()["request_id"])
    finally:
        served.terminate()
        _, log = served.communicate(timeout=60)
    assert "RuntimeError" in log and "KeyError" in log
    assert "Zebulon" not in log and "xylophagy" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert set(ids) <= {line.get("request_id") for line in lines}


def test_an_error_is_logged_by_its_place_and_class() -> None:
    try:
        raise ValueError(" ".join(["the", "wo" + "rds", "of a document"]))
    except ValueError:
        record = logging.LogRecord("quoth.x", logging.ERROR, __file__, 1, "failed: %d", (7,), sys.exc_info())
    held = REQUEST_ID.set("abc")
    line = JsonLines().format(record)
    REQUEST_ID.reset(held)
    found = json.loads(line)
    assert "\n" not in line and found["message"] == "failed: 7" and found["request_id"] == "abc"
    assert "ValueError" in found["trace"] and "words" not in line
    record.exc_text = None
    assert "ValueError" in TextLines().format(record) and "words" not in TextLines().format(record)


@pytest.mark.parametrize("wrong", [{"QUOTH_LOG": "xml"}, {"QUOTH_LOG_LEVEL": "loud"}])
def test_a_form_or_level_that_does_not_exist(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        start_logging(wrong)
