"""Records that are one document each, and the parts they were measured on: lists and single rows."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories import catalogue
from services.api.context import ReadsRecords
from services.api.documents import Name
from services.api.listing import DocumentQuery, ProgramQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_bytes import JSON, answer_bytes, describe_bytes
from services.api.record_documents import (
    DocumentDetail,
    DocumentItem,
    LotItem,
    ProductItem,
    UnitItem,
    WaferItem,
)

router = APIRouter()

_LIST = describe_page(DocumentItem)
_ROW = describe_row(DocumentDetail)
_CONTENT = describe_bytes(JSON)
Documents = Annotated[DocumentQuery, Query()]


class NamedQuery(ProgramQuery):
    """Filters of products."""

    name: Name | None = None


class LotQuery(NamedQuery):
    """Filters of lots."""

    product: uuid.UUID | None = None


class WaferQuery(NamedQuery):
    """Filters of wafers."""

    lot: uuid.UUID | None = None


class UnitQuery(ProgramQuery):
    """Filters of units."""

    product: uuid.UUID | None = None
    wafer: uuid.UUID | None = None
    serial: Name | None = None


@router.get("/netlists", tags=["records"], responses=_LIST)
def list_netlists(query: Documents, context: ReadsRecords) -> Response:
    """Return netlists."""
    return answer_list(context, catalogue.NETLISTS, query)


@router.get("/netlists/{netlist_id}", tags=["records"], responses=_ROW)
def read_netlist(netlist_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a netlist's description."""
    return answer_row(request, context, catalogue.NETLISTS, netlist_id)


@router.get("/netlists/{netlist_id}/content", tags=["records"], response_class=Response, responses=_CONTENT)
def read_netlist_content(netlist_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a netlist itself as a document."""
    return answer_bytes(request, context, (catalogue.NETLISTS, netlist_id), JSON)


@router.get("/pattern-sets", tags=["records"], responses=_LIST)
def list_pattern_sets(query: Documents, context: ReadsRecords) -> Response:
    """Return pattern sets."""
    return answer_list(context, catalogue.PATTERN_SETS, query)


@router.get("/pattern-sets/{pattern_set_id}", tags=["records"], responses=_ROW)
def read_pattern_set(pattern_set_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a pattern set's description."""
    return answer_row(request, context, catalogue.PATTERN_SETS, pattern_set_id)


@router.get("/pattern-sets/{pattern_set_id}/content", tags=["records"], response_class=Response, responses=_CONTENT)
def read_pattern_set_content(pattern_set_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a pattern set itself as a document."""
    return answer_bytes(request, context, (catalogue.PATTERN_SETS, pattern_set_id), JSON)


@router.get("/fail-logs", tags=["records"], responses=_LIST)
def list_fail_logs(query: Documents, context: ReadsRecords) -> Response:
    """Return fail logs."""
    return answer_list(context, catalogue.FAIL_LOGS, query)


@router.get("/fail-logs/{fail_log_id}", tags=["records"], responses=_ROW)
def read_fail_log(fail_log_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a fail log's description."""
    return answer_row(request, context, catalogue.FAIL_LOGS, fail_log_id)


@router.get("/fail-logs/{fail_log_id}/content", tags=["records"], response_class=Response, responses=_CONTENT)
def read_fail_log_content(fail_log_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a fail log itself as a document."""
    return answer_bytes(request, context, (catalogue.FAIL_LOGS, fail_log_id), JSON)


@router.get("/placements", tags=["records"], responses=_LIST)
def list_placements(query: Documents, context: ReadsRecords) -> Response:
    """Return placements."""
    return answer_list(context, catalogue.PLACEMENTS, query)


@router.get("/placements/{placement_id}", tags=["records"], responses=_ROW)
def read_placement(placement_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a placement's description."""
    return answer_row(request, context, catalogue.PLACEMENTS, placement_id)


@router.get("/placements/{placement_id}/content", tags=["records"], response_class=Response, responses=_CONTENT)
def read_placement_content(placement_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a placement itself as a document."""
    return answer_bytes(request, context, (catalogue.PLACEMENTS, placement_id), JSON)


@router.get("/digital-traces", tags=["records"], responses=_LIST)
def list_digital_traces(query: Documents, context: ReadsRecords) -> Response:
    """Return digital traces."""
    return answer_list(context, catalogue.DIGITAL_TRACES, query)


@router.get("/digital-traces/{digital_trace_id}", tags=["records"], responses=_ROW)
def read_digital_trace(digital_trace_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a digital trace's description."""
    return answer_row(request, context, catalogue.DIGITAL_TRACES, digital_trace_id)


@router.get("/digital-traces/{digital_trace_id}/content", tags=["records"], response_class=Response, responses=_CONTENT)
def read_digital_trace_content(digital_trace_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a digital trace itself as a document."""
    return answer_bytes(request, context, (catalogue.DIGITAL_TRACES, digital_trace_id), JSON)


@router.get("/products", tags=["parts"], responses=describe_page(ProductItem))
def list_products(query: Annotated[NamedQuery, Query()], context: ReadsRecords) -> Response:
    """Return products."""
    return answer_list(context, catalogue.PRODUCTS, query)


@router.get("/products/{product_id}", tags=["parts"], responses=describe_row(ProductItem))
def read_product(product_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a product."""
    return answer_row(request, context, catalogue.PRODUCTS, product_id)


@router.get("/lots", tags=["parts"], responses=describe_page(LotItem))
def list_lots(query: Annotated[LotQuery, Query()], context: ReadsRecords) -> Response:
    """Return lots."""
    return answer_list(context, catalogue.LOTS, query)


@router.get("/lots/{lot_id}", tags=["parts"], responses=describe_row(LotItem))
def read_lot(lot_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a lot."""
    return answer_row(request, context, catalogue.LOTS, lot_id)


@router.get("/wafers", tags=["parts"], responses=describe_page(WaferItem))
def list_wafers(query: Annotated[WaferQuery, Query()], context: ReadsRecords) -> Response:
    """Return wafers."""
    return answer_list(context, catalogue.WAFERS, query)


@router.get("/wafers/{wafer_id}", tags=["parts"], responses=describe_row(WaferItem))
def read_wafer(wafer_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a wafer."""
    return answer_row(request, context, catalogue.WAFERS, wafer_id)


@router.get("/units", tags=["parts"], responses=describe_page(UnitItem))
def list_units(query: Annotated[UnitQuery, Query()], context: ReadsRecords) -> Response:
    """Return units."""
    return answer_list(context, catalogue.UNITS, query)


@router.get("/units/{unit_id}", tags=["parts"], responses=describe_row(UnitItem))
def read_unit(unit_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a unit."""
    return answer_row(request, context, catalogue.UNITS, unit_id)
