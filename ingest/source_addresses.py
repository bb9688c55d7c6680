"""What a person may give as a source, and the object that reads it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ingest.errors import UsageError
from ingest.folder_source import FolderSource
from ingest.sources import Source


def source_at(
    address: str, *, quiet_s: float = 0.0, max_pages: int = 1000, max_depth: int = 10, intranet: bool = False
) -> Source:
    """The source at an address: a folder, http(s)://..., or any address that fsspec knows.

    Args:
        quiet_s: for folders, see FolderSource.
        max_pages, max_depth, intranet: for sites, see WebSource.

    Raises:
        UsageError: the address is none.
        ConfigurationError: a library is missing.
        ServiceError: a store does not answer.
    """
    kind, colon, _ = address.partition("://")
    if not address.strip():
        raise UsageError("An empty name is no source. Give a folder or an address.")
    if not colon:
        return FolderSource(Path(address), quiet_s=quiet_s)
    if kind.lower() in ("file", "local"):
        return FolderSource(Path(unquote(urlsplit(address).path)), quiet_s=quiet_s)
    if kind.lower() in ("http", "https"):
        from ingest.web_source import WebSource

        return WebSource(address, max_pages=max_pages, max_depth=max_depth, intranet=intranet)
    from ingest.store_source import StoreSource

    return StoreSource(address)
