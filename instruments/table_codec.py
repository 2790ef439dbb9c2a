"""Tables as Parquet: columns with their units and all else that a table carries, in a file other tools read too."""

import io
import json
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from instruments.records import Table

_MEMBER = b"faultlight"
_TEXT = np.dtypes.StringDType()


def encode_table(table: Table, plain_metadata: Any) -> bytes:
    """Return ``table`` as a Parquet file; ``plain_metadata`` is its vendor metadata as JSON can hold it."""
    arrays = {name: _to_arrow(values) for name, values in table.columns.items()}
    about = {
        "name": table.name,
        "kind": table.kind,
        "units": dict(table.units),
        "vendor_metadata": plain_metadata,
        "warnings": list(table.warnings),
    }
    made = pa.table(arrays).replace_schema_metadata({_MEMBER: json.dumps(about, ensure_ascii=False).encode("utf-8")})
    sink = io.BytesIO()
    pq.write_table(made, sink, compression="zstd")
    return sink.getvalue()


def decode_table(data: bytes, columns: Collection[str] | None = None) -> Table:
    """Return the table that :func:`encode_table` wrote as ``data``, or those of its ``columns`` that it has.

    Raises:
        ValueError: the file carries no description of a table.
    """
    file = pq.ParquetFile(io.BytesIO(data))
    wanted = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
    read = file.read(columns=wanted)
    text = (read.schema.metadata or {}).get(_MEMBER)
    if text is None:
        raise ValueError("this Parquet file was not written as a table of records")
    about = json.loads(text)
    return Table(
        name=about["name"],
        columns={name: _to_numpy(read.column(name)) for name in read.column_names},
        units=about["units"],
        kind=about["kind"],
        vendor_metadata=about["vendor_metadata"],
        warnings=tuple(about["warnings"]),
    )


def _to_arrow(values: NDArray[Any]) -> Any:
    if values.dtype.kind in "TUO":
        return pa.array([str(value) for value in values], pa.string())
    return pa.array(values)


def _to_numpy(column: Any) -> NDArray[Any]:
    if pa.types.is_string(column.type):
        return np.asarray(column.to_pylist(), _TEXT)
    return np.asarray(column.to_numpy())
