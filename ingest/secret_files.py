"""Secrets that the first start makes for itself and keeps in a file that nobody else may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ingest.errors import ConfigurationError


def secret_text(file: Path, setting: str) -> str:
    """The file's content; made whole and unseen by others where there is none, also when two start at once.

    Args:
        setting: the variable that stands in for the file.

    Raises:
        ConfigurationError: the file cannot be read or made.
    """
    try:
        if not file.exists():
            draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32) + "\n")
                new.flush()
                os.fsync(new.fileno())
            try:
                os.link(draft, file)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The secret {str(file)!r} cannot be read or made ({error}). Mend it, or set {setting}."
        ) from error
