"""A pytest plugin for CI, where a browser and a database are at hand: a test that needs one and skips has failed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

NEEDED = ("browser", "integration")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and any(item.get_closest_marker(name) for name in NEEDED):
        report.outcome = "failed"
        report.longrepr = f"Skipped where it may not be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"A whole module skipped where it may not: {report.longrepr}"
    return report
