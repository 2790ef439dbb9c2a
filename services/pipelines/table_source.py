"""Tables by file or by row: what analyses of logs and measurements start from, with where each came from."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instruments.documents import decode_document
from instruments.records import Table
from instruments.sandbox import Sandbox
from services.pipelines.ingestion.reading import open_sandbox


class TableRefused(ValueError):  # noqa: N818
    """A file or row is not the table that the analysis needs; the message says what it is."""


@dataclass(frozen=True)
class SourceTable:
    """A table and its origin.

    Attributes:
        table: the columns.
        file: name of the file, or the id of the stored table.
        sha256: of the file's bytes, or of the stored table's.
        adapter: and its version, ``name/version``.
    """

    table: Table
    file: str
    sha256: str
    adapter: str

    def texts(self, name: str) -> list[str]:
        """Return the text column ``name``, spaces stripped; empty texts where the table has none."""
        values = self.table.columns.get(name)
        if values is None:
            return [""] * self.table.row_count
        return [str(value).strip() for value in values]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return the number column ``name``; NaN where the table has none.

        Raises:
            TableRefused: the column holds text.
        """
        values = self.table.columns.get(name)
        if values is None:
            return np.full(self.table.row_count, np.nan)
        if values.dtype.kind not in "fiub":
            raise TableRefused(f"{self.file}: the column {name} holds text, not numbers")
        return np.asarray(values, np.float64)

    def own(self, name: str) -> str | None:
        """Return the heading of a column outside the vocabulary that says ``name``, whatever its case and spaces."""
        for heading in self.table.columns:
            if heading.strip().lower().replace(" ", "_").replace("-", "_") == name:
                return heading
        return None


def read_tables(paths: Sequence[Path], *kinds: str) -> list[SourceTable]:
    """Return the tables of ``kinds`` in the files ``paths``, in the files' order, read through the sandbox.

    Raises:
        instruments.errors.InstrumentError: a file is refused.
        TableRefused: a file holds no such table.
        FileNotFoundError: there is no such file.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}")
    with open_sandbox() as sandbox:
        return [table for path in paths for table in _read(path, kinds, sandbox)]


def _read(path: Path, kinds: Sequence[str], sandbox: Sandbox) -> list[SourceTable]:
    with tempfile.TemporaryDirectory(prefix="faultlight-tables-") as folder:
        reading = sandbox.read(path, path.name, Path(folder))
        data = reading.samples_path.read_bytes()
    found, others = [], []
    whole = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    for record in reading.records:
        if record.kind != "table":
            others.append(record.kind)
            continue
        part = record.parts[0]
        table = decode_document("table", data[part.byte_offset : part.byte_offset + part.byte_length])
        assert isinstance(table, Table)
        if table.kind not in kinds:
            others.append(table.kind)
            continue
        digest = whole or str(part.sha256)
        found.append(SourceTable(table, path.name, digest, f"{reading.adapter}/{reading.adapter_version}"))
    if not found:
        held, wanted = ", ".join(sorted(set(others))), " or ".join(kinds)
        raise TableRefused(f"{path.name} is a {reading.format} file with {held}, no {wanted}")
    return found
