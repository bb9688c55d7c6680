"""The files that paths name, each with the identity its document will have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import DocumentError, UsageError
from ingest.sources import skipped
from ingest.storing import Identity


@dataclass(frozen=True, slots=True)
class Input:
    """One file to add, under the identity it will have."""

    path: Path
    identity: Identity
    readers: tuple[str, ...] | None = None  # None: everyone for a new document, an existing one keeps its own
    owner: str | None = None
    refused: DocumentError | None = None
    origin: str | None = None  # what the document is kept in step with: "folder:/srv/handbook", "s3://..."


def discover(paths: Sequence[Path], collection: str) -> list[Input]:
    """The files under the paths, each with its identity; two files with one identity are both refused.

    `source` is the path relative to the folder given, with '/', or the file's name.

    Raises:
        UsageError: a path does not exist, or a folder holds no file.
    """
    found: list[tuple[Path, str, str | None]] = []
    for path in paths:
        if path.is_dir():
            files = ((file, file.relative_to(path).as_posix()) for file in sorted(path.rglob("*")) if file.is_file())
            inside = [(file, source) for file, source in files if not skipped(source)]
            if not inside:
                raise UsageError(f"The folder {str(path)!r} holds no file to add.")
            origin = f"folder:{path.resolve().as_posix()}"
            found.extend((file, source, origin) for file, source in inside)
        elif path.exists():
            found.append((path, path.name, None))
        else:
            raise UsageError(f"{str(path)!r} does not exist. Check the path.")
    found = list({(one[0].resolve(), one[1]): one for one in found}.values())
    counts = Counter(source for _, source, _ in found)
    return [
        Input(
            file,
            Identity(collection, source),
            refused=DocumentError(
                "ambiguous_name",
                f"Two files of this command would both be {source!r} in the collection {collection!r}. Add them in two "
                "commands with different --collection, or add the folder that holds both.",
            )
            if counts[source] > 1
            else None,
            origin=origin,
        )
        for file, source, origin in found
    ]
