"""A gate's outcome for a terminal, for a pull request (Markdown) and for a build server (JUnit XML)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from evals.answers_report import FINE, number
from evals.answers_run import AnswersRun
from evals.gating import Check, GateResult
from ingest.errors import UsageError

CASES_NAMED = 20


def gate_table(result: GateResult) -> str:
    """For a person."""
    lines = [f"run {result.run}" + (f" against {result.baseline}" if result.baseline else ""), ""]
    for one in result.checks:
        lines.append(
            f"{'met   ' if one.met else 'NOT MET'} {one.bar.name}: {one.asked} ({number(one.value)}, n {one.n})"
        )
        if one.why:
            lines.append(f"        {one.why}")
    failed = sum(not one.met for one in result.checks)
    lines += ["", f"{failed} of {len(result.checks)} not met" if failed else f"all {len(result.checks)} met"]
    return "\n".join([*lines, *result.notes])


def gate_markdown(result: GateResult, run: AnswersRun) -> str:
    """Fit for a pull request: what failed first, then all of it, then the cases to look at."""
    failed = [one for one in result.checks if not one.met]
    head = "met" if result.met else f"not met ({len(failed)} of {len(result.checks)})"
    lines = [f"## Answer quality: {head}", ""]
    against = f" against run `{result.baseline}`" if result.baseline else ""
    lines += [f"Run `{result.run}`{against}, {len(run.records)} cases of {_cell(run.kept.facts.cases_name)}.", ""]
    lines += ["| | measure | asked | value | n | |", "|---|---|---|---|---|---|"]
    for one in [*failed, *(one for one in result.checks if one.met)]:
        mark = "✅" if one.met else "❌"
        lines.append(
            f"| {mark} | {_cell(one.bar.name)} | {one.asked} | {number(one.value)} | {one.n} | {_cell(one.why)} |"
        )
    counts = Counter(one.failure_class for one in run.records if one.failure_class not in FINE)
    if counts:
        lines += ["", "| what went wrong | cases | |", "|---|---|---|"]
        for kind, n in counts.most_common():
            named = [one.case_id for one in run.records if one.failure_class == kind]
            more = " ..." if len(named) > CASES_NAMED else ""
            lines.append(f"| {kind} | {n} | {_cell(', '.join(named[:CASES_NAMED]))}{more} |")
    if result.notes:
        lines += ["", *(f"- {_cell(note)}" for note in result.notes)]
    return "\n".join(lines) + "\n"


def gate_junit(result: GateResult) -> str:
    """One test case a check, in JUnit's XML."""
    failed = sum(not one.met for one in result.checks)
    suite = ElementTree.Element(
        "testsuite", name="quoth eval gate", tests=str(len(result.checks)), failures=str(failed), errors="0"
    )
    for one in result.checks:
        case = ElementTree.SubElement(suite, "testcase", classname="quoth.eval", name=_test_name(one))
        if not one.met:
            ElementTree.SubElement(case, "failure", message=_printable(f"{one.asked}: {one.why}"))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def write_text(path: Path, text: str) -> None:
    """
    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written ({error.strerror}). Choose another place.") from error


def _test_name(one: Check) -> str:
    return _printable(f"{one.bar.name} {one.asked}")


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(character for character in text if character.isprintable())


def _cell(text: str) -> str:
    """Words in a table of Markdown: names of cases come from a file."""
    bare = "".join(character if character.isprintable() else " " for character in text)
    for character in "\\`|<>[]*_":
        bare = bare.replace(character, "\\" + character)
    return bare
