"""Names of the layers of a stored layout: those that a person has given, else those in the file, else none."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from db.blobs import BlobMissing, BlobStore
from db.repositories import layer_names
from db.repositories.layer_names import GivenNames
from db.repositories.tables import find_tables_of_files
from services.api.context import RequestUnit
from services.api.documents import Document

LayerKey = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,4})/(0|[1-9][0-9]{0,4})$", description="layer/datatype")]
LayerTitle = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
GivenBy = Literal["person", "file"]
_KIND = "layout_layer"
_MOST_BYTES = 8 << 20
"""Of the table of a file's layers; more is not unpacked for a request."""


class LayerNamesRequest(Document):
    """What the layers of a layout are called; a layer that is left out has no name."""

    names: Annotated[dict[LayerKey, LayerTitle], Field(max_length=4096)]
    source: Annotated[
        str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="where the names are from, in words")
    ] = ""
    revision: Annotated[int, Field(ge=0, description="that was read, 0 for none; a conflict when it has changed")] = 0


class NamedLayer(BaseModel):
    """A layer with its name and who gives it: a `person`, or the `file` itself."""

    layer: int
    datatype: int
    name: str
    given_by: GivenBy


class LayerNamesAnswer(BaseModel):
    """Names by layer; those that a person gave stand before the file's own."""

    layers: list[NamedLayer]
    source: str
    revision: int
    set_by: str | None
    set_at: str | None


@dataclass(frozen=True)
class LayerNames:
    """Names of a layout's layers by layer/datatype: what a person has ``given``, and what is ``in_file``."""

    given: GivenNames
    in_file: Mapping[str, str]

    def name(self, key: str) -> str | None:
        """Return what the layer ``key`` is called, ``None`` where nobody says."""
        return self.given.names.get(key) or self.in_file.get(key)

    def answer(self) -> LayerNamesAnswer:
        """Return the document of the API."""
        keys = sorted({*self.given.names, *self.in_file}, key=_numbers)
        return LayerNamesAnswer(
            layers=[
                NamedLayer(
                    layer=_numbers(key)[0],
                    datatype=_numbers(key)[1],
                    name=self.name(key) or "",
                    given_by="person" if key in self.given.names else "file",
                )
                for key in keys
            ],
            source=self.given.source,
            revision=self.given.revision,
            set_by=self.given.set_by,
            set_at=self.given.set_at.isoformat() if self.given.set_at is not None else None,
        )


def _numbers(key: str) -> tuple[int, int]:
    layer, _, datatype = key.partition("/")
    return int(layer), int(datatype)


def load_layer_names(unit: RequestUnit, blobs: BlobStore, file_id: uuid.UUID) -> LayerNames:
    """Return the names of the layers of a stored file.

    Raises:
        RowNotFound: there is no such file that the caller may see.
        BlobMissing: stored bytes are not there.
    """
    given = layer_names.find(unit.connection, unit.caller, file_id)
    return LayerNames(given, _read_file_names(unit, blobs, file_id))


def _read_file_names(unit: RequestUnit, blobs: BlobStore, file_id: uuid.UUID) -> dict[str, str]:
    from instruments.table_codec import decode_table  # noqa: PLC0415  (pyarrow loads where tables are unpacked only)

    found: dict[str, str] = {}
    wanted = frozenset({"layer", "datatype", "layer_name"})
    for table in find_tables_of_files(unit.connection, [file_id], {_KIND}):
        row = table.row
        if row.byte_length > _MOST_BYTES:
            continue
        data = blobs.read_range(row.blob_key, row.byte_offset, row.byte_length)
        if len(data) != row.byte_length:
            raise BlobMissing(row.blob_key)
        columns = {name: values.tolist() for name, values in decode_table(data, wanted).columns.items()}
        if "layer_name" in columns:
            named = zip(columns["layer"], columns["datatype"], columns["layer_name"], strict=True)
            found |= {f"{layer}/{datatype}": str(name) for layer, datatype, name in named if name}
    return found
