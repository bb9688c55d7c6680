"""Commands run in the test's own process: what a shell would see of them, without starting Python each time."""

from __future__ import annotations

import json

import pytest

from ui.command import main


class Shell:
    """Runs commands with an environment of their own."""

    def __init__(
        self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("QUOTH_TEST_DATABASE_URL", raising=False)  # the suite's own; no setting of the product
        for name, value in environ.items():
            if name.startswith("QUOTH_"):
                monkeypatch.setenv(name, value)
        self._capfd = capfd

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, and what is printed to stdout and stderr."""
        self._capfd.readouterr()
        try:
            code = main(list(arguments))
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
        out, err = self._capfd.readouterr()
        return code, out, err

    def lines(self, *arguments: str) -> tuple[int, dict[str, dict]]:
        """The exit code, and what --json prints by source."""
        code, out, _ = self(*arguments, "--json")
        return code, {line["source"]: line for line in map(json.loads, out.splitlines())}
