"""Tables of measured or logged values, and rasters: images and signal maps."""

import json
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories.catalogue import RASTERS, TABLES, fetch_row
from services.api.answers import IMMUTABLE, VARY, matches_etag, quote_etag
from services.api.context import ReadsRecords
from services.api.documents import Name
from services.api.listing import DocumentQuery, answer_list, answer_row, describe_page, describe_row
from services.api.raster_pictures import NoSuchBand, draw_raster
from services.api.record_bytes import BINARY, PARQUET, answer_bytes, describe_bytes
from services.api.record_documents import RasterDetail, RasterItem, TableDetail, TableItem
from services.api.tile_answers import PICTURE_ANSWERS
from services.problems import Problem

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


@router.get("/rasters/{raster_id}/picture", response_class=Response, responses=PICTURE_ANSWERS)
def read_raster_picture(
    raster_id: uuid.UUID,
    request: Request,
    context: ReadsRecords,
    band: Annotated[Name, Query(description="one of its bands, or amplitude of a complex one")] = "amplitude",
    black: Annotated[float | None, Query(allow_inf_nan=False, description="value of black; unset: the least")] = None,
    white: Annotated[float | None, Query(allow_inf_nan=False, description="value of white; unset: the most")] = None,
) -> Response:
    """Return a band as a grey PNG of at most 1024 pixels a side, larger ones by the mean of blocks.

    `Faultlight-Black` and `Faultlight-White` are the values of its ends, `Faultlight-Block` the pixels of the raster
    along each side of one of the picture.
    """
    with context.read() as unit:
        row = fetch_row(unit.connection, unit.caller, RASTERS, raster_id)
    etag = quote_etag(row["sha256"], band, black, white)
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    try:
        window = (black, white) if black is not None and white is not None else None
        picture = draw_raster(context.state.blobs, row, band, window)
    except NoSuchBand as error:
        raise Problem("invalid-request", str(error)) from error
    headers |= {"Faultlight-Black": repr(picture.black), "Faultlight-White": repr(picture.white)}
    headers["Faultlight-Block"] = str(picture.block)
    return Response(picture.png, headers=headers, media_type="image/png")


def _describe(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Faultlight-Dtype": str(row["dtype"]),
        "Faultlight-Gain": repr(float(row["gain"])),
        "Faultlight-Offset": repr(float(row["offset"])),
        "Faultlight-Rows": str(row["row_count"]),
        "Faultlight-Columns": str(row["column_count"]),
        "Faultlight-Bands": json.dumps(row["bands"]),
    }
