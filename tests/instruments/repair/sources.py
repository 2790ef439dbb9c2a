"""Files written for a test, and what an adapter makes of them."""

from pathlib import Path
from typing import Any

from instruments.adapter import HEAD_BYTES, Adapter, Source
from instruments.records import Record


def written(folder: Path, name: str, content: str | bytes) -> Source:
    """Write ``content`` as ``name`` in ``folder`` and return it as a source."""
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return source_of(path)


def source_of(path: Path) -> Source:
    """Return the file ``path`` as a source."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return Source(path, path.name, path.stat().st_size, head, {})


def read_all(adapter: Adapter, source: Source) -> tuple[str, list[Any]]:
    """Return the format's name and the records."""
    name, records = adapter.read(source)
    listed: list[Record] = list(records)
    return name, listed
