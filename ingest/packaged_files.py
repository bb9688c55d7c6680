"""Model files that installed packages carry: found without running a package's code, and checked byte by byte."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed package, and the only bytes it may hold."""

    package: str
    path: str
    sha256: str


def packaged_path(file: PackagedFile) -> Path:
    """Where an installed package holds the file; the package's own code is not run.

    Raises:
        ConfigurationError: if the package or the file is missing.
    """
    spec = importlib.util.find_spec(file.package)  # of a top-level name: imports nothing
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / file.path
        if path.is_file():
            return path
    where = f"not inside {folders[0]!r}" if folders else "the package is not installed"
    raise ConfigurationError(
        f"{file.path!r} of the package {file.package!r} was not found: {where}. "
        "Install the locked dependencies again, or set QUOTH_EMBEDDER to onnx:FOLDER."
    )


def verified_bytes(path: Path, sha256: str) -> bytes:
    """Read a file and check it.

    Raises:
        ConfigurationError: naming the file, if its SHA-256 is another one.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ConfigurationError(
            f"{str(path)!r} is not the file this version was tested with: its SHA-256 is {found!r}, "
            f"not {sha256!r}. Install the locked dependencies again, or set QUOTH_EMBEDDER to onnx:FOLDER."
        )
    return content
