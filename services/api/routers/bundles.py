"""Bundles: files that belong together, declared before they are uploaded."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from db.repositories import audit, bundles, uploads
from db.repositories.access import Action, find_program
from db.repositories.bundles import Bundle, Member
from db.repositories.catalogue import BUNDLES
from services.api.answers import JsonAnswer
from services.api.context import FollowsUploads, ReadsOperations, RequestUnit, Uploads
from services.api.contract import describe_problems
from services.api.documents import BundleDeclaration, BundleDocument
from services.api.listing import BundleQuery, answer_list, describe_page
from services.api.record_documents import BundleItem
from services.api.uploads.completion import Requester, request_bundle_ingest
from services.pipelines.job_keys import ingest_key
from services.problems import Problem

router = APIRouter(prefix="/bundles", tags=["bundles"])


def _document(unit: RequestUnit, bundle: Bundle) -> dict[str, object]:
    members = bundles.list_members(unit.connection, bundle.id)
    return {
        "id": bundle.id,
        "program_id": bundle.program_id,
        "name": bundle.name,
        "state": bundle.state,
        "content_sha256": bundle.content_sha256,
        "missing": [member["path"] for member in members if member["raw_file_id"] is None],
        "job_id": uploads.find_job(unit.connection, ingest_key(bundle.program_id, bundle.content_sha256)),
        "members": members,
    }


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": BundleDocument, "description": "a bundle with the same content is known"},
        201: {"model": BundleDocument},
        **describe_problems("not-found", "invalid-request"),
    },
)
def declare_bundle(declaration: BundleDeclaration, context: Uploads) -> Response:
    """Declare a bundle; `missing` lists the members whose bytes the program does not have."""
    limit = context.state.settings.bundle_max_members
    if len(declaration.members) > limit:
        raise Problem("invalid-request", f"a bundle has at most {limit} members")
    members = bundles.normalise_members([Member(m.path, m.sha256, m.size_bytes) for m in declaration.members])
    with context.begin() as unit:
        program_id = unit.caller.instrument_program_id
        if declaration.program is not None:
            program_id = find_program(unit.connection, unit.caller, Action.UPLOAD, declaration.program)
        if program_id is None:
            raise Problem("invalid-request", "program is missing")
        bundle, created = bundles.declare(unit.connection, unit.caller, program_id, declaration.name, members)
        requester = Requester(unit.caller.actor, context.request_id)
        request_bundle_ingest(context.state, unit.unit, requester, bundle)
        if created:
            after = {"name": bundle.name, "content_sha256": bundle.content_sha256, "members": len(members)}
            unit.audit(audit.AuditEntry("bundle.declared", "bundle", bundle.id, program_id, after=after))
        document = _document(unit, bundle)
    return JsonAnswer(document, status_code=201 if created else 200)


@router.get("", responses=describe_page(BundleItem))
def list_bundles(query: Annotated[BundleQuery, Query()], context: ReadsOperations) -> Response:
    """Return bundles."""
    return answer_list(context, BUNDLES, query)


@router.get("/{bundle_id}", responses={200: {"model": BundleDocument}, **describe_problems("not-found")})
def read_bundle(bundle_id: uuid.UUID, context: FollowsUploads) -> Response:
    """Return a bundle, its members, and what is missing."""
    with context.read() as unit:
        bundle = bundles.find(unit.connection, unit.caller, bundle_id, *context.actions)
        document = _document(unit, bundle)
    return JsonAnswer(document)
