"""Short ways to read a file of a test."""

from pathlib import Path

from instruments.adapter import HEAD_BYTES, Adapter, Source
from instruments.records import Waveform


def source_of(path: Path) -> Source:
    """The source of one file on disk."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return Source(path, path.name, path.stat().st_size, head, {})


def place(folder: Path, name: str, data: bytes | str) -> Source:
    """Write a file; return its source."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return source_of(path)


def waveforms(adapter: Adapter, source: Source) -> list[Waveform]:
    """The records of a file, which are all waveforms."""
    records = list(adapter.read(source)[1])
    assert all(isinstance(record, Waveform) for record in records)
    return [record for record in records if isinstance(record, Waveform)]
