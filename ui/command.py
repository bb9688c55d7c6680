"""The `quoth` command: one parser, one function per command, exit codes as scripts expect them.

0 done · 1 done in part or a gate not met · 2 wrong usage or configuration · 3 a service unavailable · 130 interrupted
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ingest.errors import ConfigurationError, DocumentError, QuothError, ServiceError, UsageError
from ui import (
    access_commands,
    audit_commands,
    backup_commands,
    document_commands,
    evaluation_commands,
    improvement_commands,
    question_commands,
    queue_commands,
    running_commands,
    service_commands,
    sync_commands,
    usage_commands,
    version_commands,
)
from ui.log_lines import start_logging

DONE: Final = 0
IN_PART: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 3
INTERRUPTED: Final = 130

DESCRIPTION: Final = """\
Quoth answers from your own documents and proves every sentence with a quotation.

  quoth up --sample                  start everything, with sample documents
  quoth add ~/handbook               add a folder of documents
  quoth ask "How many days of leave do new parents get?"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Results go to stdout, progress and errors to stderr."""
    _utf8_streams()
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    interruption = Interruption()
    interruption.listen()
    try:
        code = carried_out(run, arguments)
        if not interruption.came:
            return code
    except KeyboardInterrupt:
        pass
    except Exception:
        if not interruption.came:  # in the midst of a statement it comes out as somebody else's error
            raise
    print("Interrupted.", file=sys.stderr)
    return INTERRUPTED


class Interruption:
    """Ctrl-C and SIGTERM, remembered: a library in between may turn the exception into one of its own."""

    def __init__(self) -> None:
        self.came = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._come)

    def _come(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt


def carried_out(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command; turn what went wrong into a sentence and an exit code."""
    try:
        start_logging(os.environ)  # errors, unless more is wanted: what people need is printed
        return run(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (UsageError, ConfigurationError) as error:
        print(f"quoth: {error}", file=sys.stderr)
        return USAGE
    except ServiceError as error:
        print(f"quoth: {error}", file=sys.stderr)
        return UNAVAILABLE
    except DocumentError as error:
        print(f"quoth: {error.reason}: {error.detail}", file=sys.stderr)
        return IN_PART
    except QuothError as error:
        print(f"quoth: {error}", file=sys.stderr)
        return UNAVAILABLE


def parser() -> argparse.ArgumentParser:
    """The whole command line; every command teaches itself with an example."""
    root = argparse.ArgumentParser(
        prog="quoth", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        running_commands,
        document_commands,
        access_commands,
        version_commands,
        sync_commands,
        queue_commands,
        question_commands,
        evaluation_commands,
        improvement_commands,
        audit_commands,
        usage_commands,
        service_commands,
        backup_commands,
    ):
        module.add_commands(commands)
    return root


def _utf8_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
