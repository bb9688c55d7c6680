"""What `quoth jobs` and `quoth add` print of names and counts."""

from __future__ import annotations

from ingest.intake import Progress
from ui.command_line import one_line
from ui.queue_commands import progress_line


def test_a_name_stays_on_its_line_and_sends_no_codes_to_the_terminal() -> None:
    assert one_line("line\nbreak\x1b[31m.md") == "line\\nbreak\\x1b[31m.md"
    assert one_line("Büro ordner/größe.md") == "Büro ordner/größe.md"


def test_cancelled_files_are_counted() -> None:
    progress = Progress(waiting=0, running=0, done=18, failed=2, cancelled=1, eta_s=None)
    assert progress_line(progress) == "0 wait, 0 being read, 18 done, 2 failed, 1 cancelled"
