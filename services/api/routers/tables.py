"""Tables of measured or logged values, and rasters: images and signal maps."""

import json
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories.catalogue import RASTERS, TABLES
from services.api.context import ReadsRecords
from services.api.documents import Name
from services.api.listing import DocumentQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_bytes import BINARY, PARQUET, answer_bytes, describe_bytes
from services.api.record_documents import RasterDetail, RasterItem, TableDetail, TableItem

router = APIRouter(tags=["records"])


class TableQuery(DocumentQuery):
    """Filters of tables."""

    kind: Annotated[Name | None, Query(description="what a row is: mask_defect, test_result, …")] = None


class RasterQuery(DocumentQuery):
    """Filters of rasters."""

    kind: Literal["image", "signal_map"] | None = None


@router.get("/tables", responses=describe_page(TableItem))
def list_tables(query: Annotated[TableQuery, Query()], context: ReadsRecords) -> Response:
    """Return tables: mask defects, test results, repair steps, lifetimes and all else that comes in columns."""
    return answer_list(context, TABLES, query)


@router.get("/tables/{table_id}", responses=describe_row(TableDetail))
def read_table(table_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a table's description: its columns with their units, and how many rows."""
    return answer_row(request, context, TABLES, table_id)


@router.get("/tables/{table_id}/content", response_class=Response, responses=describe_bytes(PARQUET))
def read_table_content(table_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a table as Parquet; the file's metadata `faultlight` holds units, kind and the vendor's own metadata."""
    return answer_bytes(request, context, (TABLES, table_id), PARQUET)


@router.get("/rasters", responses=describe_page(RasterItem))
def list_rasters(query: Annotated[RasterQuery, Query()], context: ReadsRecords) -> Response:
    """Return rasters."""
    return answer_list(context, RASTERS, query)


@router.get("/rasters/{raster_id}", responses=describe_row(RasterDetail))
def read_raster(raster_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a raster's description."""
    return answer_row(request, context, RASTERS, raster_id)


@router.get("/rasters/{raster_id}/samples", response_class=Response, responses=describe_bytes(BINARY))
def read_raster_samples(raster_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return all samples, little-endian, band by band and row by row, described by `Faultlight-*` headers.

    `value = Faultlight-Gain * sample + Faultlight-Offset`; `Faultlight-Bands` is JSON of names and units.
    """
    return answer_bytes(request, context, (RASTERS, raster_id), BINARY, _describe)


def _describe(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Faultlight-Dtype": str(row["dtype"]),
        "Faultlight-Gain": repr(float(row["gain"])),
        "Faultlight-Offset": repr(float(row["offset"])),
        "Faultlight-Rows": str(row["row_count"]),
        "Faultlight-Columns": str(row["column_count"]),
        "Faultlight-Bands": json.dumps(row["bands"]),
    }
