"""Defects of inspection files as tables, read in the sandbox."""

import tempfile
from pathlib import Path

from instruments.errors import CorruptField
from instruments.packing import PackedReading
from instruments.records import Table
from instruments.table_codec import decode_table
from services.pipelines.ingestion.reading import open_sandbox

DEFECTS = "mask_defect"


def read_defects(path: Path, name: str | None = None) -> list[Table]:
    """Return the tables of defects of a file, one for each wafer or mask.

    Raises:
        instruments.errors.InstrumentError: it is refused, or holds no defects' table.
        FileNotFoundError: there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path.name}")
    with open_sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="faultlight-defects-") as folder:
        reading = sandbox.read(path, name or path.name, Path(folder))
        return unpack_defects(reading, name or path.name)


def unpack_defects(reading: PackedReading, file: str) -> list[Table]:
    """Return the tables of defects of a packed ``reading`` of ``file``.

    Raises:
        CorruptField: it holds none.
    """
    found = []
    with reading.samples_path.open("rb") as samples:
        for record in reading.records:
            if record.fields.get("kind") == DEFECTS:
                samples.seek(record.parts[0].byte_offset)
                found.append(decode_table(samples.read(record.parts[0].byte_length)))
    if not found:
        kinds = ", ".join(sorted({str(record.fields.get("kind", record.kind)) for record in reading.records}))
        raise CorruptField("the file holds no defects", file=file, expected=DEFECTS, found=kinds)
    return found
