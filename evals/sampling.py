"""The sample documents, with the readers and owners that their manifest names, and the example users."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from assistant.bootstrap import Quoth
from ingest.discovery import Input
from ingest.errors import ConfigurationError
from ingest.model import Receipt
from ingest.storing import Identity

SAMPLES: Final = Path(__file__).parent / "samples"
COLLECTION: Final = "default"

Progress = Callable[[str, str, int, int], None]  # source, stage, done, total


def load_samples(quoth: Quoth, progress: Progress | None = None, *, samples: Path = SAMPLES) -> list[Receipt]:
    """Add the sample documents to the default collection, and the example users where no user has groups yet.

    Raises:
        ConfigurationError: the samples are not installed.
        ServiceError: the database does not answer.
    """
    manifest = _manifest(samples)
    inputs = [
        Input(
            samples / "documents" / one["source"],
            Identity(COLLECTION, one["source"]),
            readers=tuple(one["readers"]),
            owner=one["owner"],
        )
        for one in manifest["documents"]
    ]
    receipts = list(quoth.pipeline.add_inputs(inputs, progress=progress))
    if not quoth.groups.of_users():
        for user, groups in manifest.get("users", {}).items():
            quoth.groups.set_of_user(user, groups)
    return receipts


def _manifest(samples: Path) -> dict[str, Any]:
    file = samples / "manifest.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The sample documents cannot be read from {str(file)!r} ({error}). Install Quoth again."
        ) from error
    return found
