"""What the API's own description allows, and what it does not, sent to every route: no server error, no surprise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.bootstrap import Quoth
from tests.ui.served_api import serving
from ui.api.app import api_app

pytestmark = pytest.mark.integration
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,missing_required_header,ignored_auth"
)


def fuzzed(quoth: Quoth, folder: Path, phases: str, examples: int) -> None:
    (folder / "a.md").write_text("# Ropes\n\nThe long rope holds 4 tonnes.\n")
    assert [one.status for one in quoth.pipeline.add([folder / "a.md"])] == ["added"]
    _, token = quoth.api_keys.create("ada", roles=["owner", "evaluator", "admin"])
    app = api_app(lambda: quoth, lambda: quoth.api_keys, tokens=None, local=False, hosts=None, requests_per_minute=1e6)
    with serving(app) as address:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/api/openapi.json",
                "--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--max-examples", str(examples),
                "--phases", phases, "--seed", "7", "--no-color", "--request-timeout", "60",
                "--suppress-health-check", "all",
            ],
            cwd=folder, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True,
            timeout=60 + 60 * examples,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_no_request_makes_a_server_error(quoth: Quoth, tmp_path: Path) -> None:
    fuzzed(quoth, tmp_path, "examples,fuzzing", examples=3)


@pytest.mark.soak
def test_no_request_makes_a_server_error_long(quoth: Quoth, tmp_path: Path) -> None:
    fuzzed(quoth, tmp_path, "examples,coverage,fuzzing", examples=100)
