"""Uploads: tus 1.0 with creation, creation-with-upload, checksum, expiration and termination."""

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from db.repositories import bundles, quota, uploads
from db.repositories.access import Action, find_program
from db.repositories.uploads import KnownFile, NewUpload, Upload
from services.api.answers import JsonAnswer
from services.api.context import RequestContext, RequestUnit, Uploads
from services.api.contract import describe_problems
from services.api.documents import KnownFileAnswer, UploadDocument
from services.api.uploads import at_once, protocol
from services.api.uploads.at_once import Body
from services.api.uploads.completion import Received, Requester, describe_completed, place_original
from services.api.uploads.protocol import Announcement
from services.api.uploads.reception import (
    Chunk,
    Progress,
    ask_progress,
    receive_chunk,
    run_file_work,
    terminate,
)
from services.problems import Problem

router = APIRouter(prefix="/uploads", tags=["uploads"])

_TUS = ("tus-version", "invalid-upload-header")


@dataclass(frozen=True)
class Created:
    """What a creation request gives: a new upload, unfinished or complete, or a file that is known already."""

    upload: Upload | None
    known: KnownFile | None = None
    job_id: uuid.UUID | None = None
    begun_before: bool = False
    received: Received | None = None


@router.options("", status_code=204, response_class=Response)
def describe_server(request: Request) -> Response:
    """Say what this server speaks; needs no key."""
    limit = request.app.state.api.settings.upload_max_bytes
    headers = {
        "Tus-Version": protocol.VERSION,
        "Tus-Extension": protocol.EXTENSIONS,
        "Tus-Max-Size": str(limit),
        "Tus-Checksum-Algorithm": ",".join(protocol.ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses={
        200: {"model": KnownFileAnswer, "description": "the program has these bytes already: send nothing"},
        201: {"description": "created; `Location` is the upload's URL"},
        **describe_problems(
            *_TUS,
            "invalid-upload-metadata",
            "deferred-length",
            "bundle-mismatch",
            "upload-too-large",
            "quota-exceeded",
            "insufficient-storage",
            "wrong-content-type",
            "checksum-unsupported",
            "checksum-mismatch",
            "upload-locked",
            "not-found",
            "conflict",
        ),
    },
)
async def create_upload(request: Request, context: Uploads) -> Response:
    """Begin an upload. A file whose declared sha256 is known needs no bytes; an empty file is complete at once.

    `creation-key` in the metadata makes the request repeatable: sent again, it is about the same upload.
    """
    read = await at_once.read_body(request)
    if read.whole:
        created = await run_file_work(context.state, _create, request, context, read)
    else:
        created = await run_in_threadpool(_create, request, context, read)
    if created.upload is None:
        assert created.known is not None
        document = {
            "raw_file_id": created.known.id,
            "state": created.known.state,
            "known": True,
            "job_id": created.job_id,
        }
        return JsonAnswer(document, headers=_received_headers(Received(created.known.id, created.job_id)))
    upload = created.upload
    location = request.url_for("patch_upload", upload_id=upload.id).path
    if created.received is not None:
        headers = _progress_headers(Progress(upload, upload.length_bytes, created.received)) | {"Location": location}
        return Response(status_code=201, headers=headers)
    progress = Progress(upload, 0, None)
    if upload.length_bytes == 0 or created.begun_before:
        progress = await ask_progress(context.state, upload, context.request_id)
    if progress.offset == 0 < upload.length_bytes and request.headers.get("content-type", "").startswith(
        protocol.CONTENT_TYPE
    ):
        chunk = Chunk(0, protocol.parse_checksum(request.headers), _content_length(request))
        try:
            progress = await receive_chunk(context.state, upload.id, chunk, read.replay(request), context.request_id)
        except Problem as problem:
            problem.headers["Location"] = location
            raise
    headers = _progress_headers(progress) | {"Location": location}
    return Response(status_code=201, headers=headers)


def _create(request: Request, context: RequestContext, read: Body) -> Created:
    with context.begin() as unit:
        protocol.check_version(request.headers)
        announced = protocol.parse_announcement(request.headers)
        limit = context.state.settings.upload_max_bytes
        if announced.length_bytes > limit:
            detail = f"the server accepts files of at most {limit} bytes"
            raise Problem("upload-too-large", detail, headers={"Tus-Max-Size": str(limit)})
        program_id, sha256 = _resolve(unit, announced)
        file = at_once.verify(request.headers, read, sha256)
        known = uploads.find_known(unit.connection, program_id, file.sha256 if file is not None else sha256)
        if known is not None:
            return _place_known(context, unit, announced, known)
        new = _describe_new(context, program_id, sha256, announced)
        if file is None:
            return _declare(context, unit, announced, new)
        unit.caller.require_in(Action.UPLOAD, program_id)
        _check_room(context, unit, new)
    upload, received = at_once.store(context.state, unit.caller, context.request_id, new, file)
    return Created(upload, begun_before=received is None, received=received)


def _describe_new(
    context: RequestContext, program_id: uuid.UUID, sha256: str | None, announced: Announcement
) -> NewUpload:
    return NewUpload(
        program_id=program_id,
        filename=announced.filename,
        length_bytes=announced.length_bytes,
        expires_at=datetime.now(UTC) + timedelta(seconds=context.state.settings.upload_expires_s),
        sha256=sha256,
        bundle_id=announced.bundle_id,
        bundle_path=announced.path,
        creation_key=announced.creation_key,
        metadata={f"client_{key}": value for key, value in announced.other.items()},
    )


def _place_known(context: RequestContext, unit: RequestUnit, announced: Announcement, known: KnownFile) -> Created:
    if known.size_bytes != announced.length_bytes:
        raise Problem("invalid-upload-metadata", f"a file of this sha256 has {known.size_bytes} bytes")
    requester = Requester(unit.caller.actor, context.request_id)
    return Created(None, known, place_original(context.state, unit.unit, requester, known, announced.bundle_id))


def _declare(context: RequestContext, unit: RequestUnit, announced: Announcement, new: NewUpload) -> Created:
    quota.lock_program(unit.connection, new.program_id)
    begun = uploads.find_begun(unit.connection, unit.caller, new)
    if begun is not None:
        return Created(begun, begun_before=True)
    # The upload with this key may have ended while this request, of a client that died, was on its way.
    known = uploads.find_known(unit.connection, new.program_id, new.sha256)
    if known is not None:
        return _place_known(context, unit, announced, known)
    _check_room(context, unit, new)
    return Created(uploads.declare(unit.connection, unit.caller, new))


def _resolve(unit: RequestUnit, announced: Announcement) -> tuple[uuid.UUID, str | None]:
    """Return the program, and the sha256 that the bytes must have."""
    program_id = unit.caller.instrument_program_id
    if announced.program is not None:
        program_id = find_program(unit.connection, unit.caller, Action.UPLOAD, announced.program)
    if announced.bundle_id is None or announced.path is None:
        if program_id is None:
            raise Problem("invalid-upload-metadata", "program is missing")
        return program_id, announced.sha256
    bundle = bundles.find(unit.connection, unit.caller, announced.bundle_id, Action.UPLOAD)
    member = bundles.find_member(unit.connection, bundle.id, announced.path)
    fits = (
        program_id in {None, bundle.program_id}
        and announced.length_bytes == member.size_bytes
        and announced.sha256 in {None, member.sha256}
    )
    if not fits:
        raise Problem("bundle-mismatch", f"the bundle declares {member.path!r} with another sha256, size or program")
    return bundle.program_id, member.sha256


def _check_room(context: RequestContext, unit: RequestUnit, new: NewUpload) -> None:
    settings, staging = context.state.settings, context.state.staging
    claims = quota.claims(unit.connection, new.program_id)
    at_once.require_quota(context.state, claims, new.length_bytes)
    free = shutil.disk_usage(staging.folder).free
    promised = max(0, claims.pending_bytes - staging.staged_bytes())
    if free - promised - new.length_bytes < settings.staging_reserve_bytes:
        raise Problem("insufficient-storage", "the staging disk has no room", headers={"Retry-After": "60"})


def _content_length(request: Request) -> int | None:
    return protocol.parse_number(request.headers, "Content-Length") if "content-length" in request.headers else None


def _received_headers(received: Received | None) -> dict[str, str]:
    if received is None:
        return {}
    headers = {"Faultlight-Raw-File": str(received.raw_file_id)}
    if received.job_id is not None:
        headers["Faultlight-Job"] = str(received.job_id)
    return headers


def _progress_headers(progress: Progress) -> dict[str, str]:
    headers = {"Upload-Offset": str(progress.offset)} | _received_headers(progress.received)
    if progress.received is None:
        headers["Upload-Expires"] = protocol.format_expiry(progress.upload.expires_at)
    return headers


def _find(context: RequestContext, upload_id: uuid.UUID) -> Upload:
    with context.begin() as unit:
        return uploads.find(unit.connection, unit.caller, upload_id)


@router.head(
    "/{upload_id}",
    status_code=200,
    response_class=Response,
    responses=describe_problems(*_TUS, "not-found", "upload-gone", "upload-locked", "checksum-mismatch"),
)
async def ask_offset(upload_id: uuid.UUID, request: Request, context: Uploads) -> Response:
    """Say how many bytes count. Interrupts a request that is still receiving; finishes an upload whose end was cut."""
    upload = await run_in_threadpool(_find, context, upload_id)
    protocol.check_version(request.headers)
    progress = await ask_progress(context.state, upload, context.request_id)
    headers = _progress_headers(progress) | {
        "Upload-Length": str(upload.length_bytes),
        "Cache-Control": "no-store",
    }
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=describe_problems(
        *_TUS,
        "not-found",
        "offset-conflict",
        "upload-interrupted",
        "upload-gone",
        "length-exceeded",
        "wrong-content-type",
        "checksum-unsupported",
        "checksum-mismatch",
        "upload-locked",
        "insufficient-storage",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {protocol.CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def patch_upload(upload_id: uuid.UUID, request: Request, context: Uploads) -> Response:
    """Append bytes. The last one finishes the upload: the answer names the file and its ingest job."""
    await run_in_threadpool(_find, context, upload_id)
    protocol.check_version(request.headers)
    protocol.require_body_type(request.headers)
    chunk = Chunk(
        protocol.parse_number(request.headers, "Upload-Offset"),
        protocol.parse_checksum(request.headers),
        _content_length(request),
    )
    progress = await receive_chunk(context.state, upload_id, chunk, aiter(request.stream()), context.request_id)
    return Response(status_code=204, headers=_progress_headers(progress))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=describe_problems(*_TUS, "not-found", "upload-completed", "upload-locked"),
)
async def terminate_upload(upload_id: uuid.UUID, request: Request, context: Uploads) -> Response:
    """Drop an unfinished upload and its bytes."""
    upload = await run_in_threadpool(_find, context, upload_id)
    protocol.check_version(request.headers)
    await terminate(context.state, upload)
    return Response(status_code=204)


@router.get("/{upload_id}", responses={200: {"model": UploadDocument}, **describe_problems("not-found")})
def read_upload(upload_id: uuid.UUID, context: Uploads) -> Response:
    """Return an upload's state; unlike HEAD it disturbs nobody and may lag behind a request that is receiving."""
    with context.begin() as unit:
        upload = uploads.find(unit.connection, unit.caller, upload_id)
        received = describe_completed(unit.connection, upload) if upload.completed_at is not None else None
    return JsonAnswer(
        {
            "id": upload.id,
            "program_id": upload.program_id,
            "filename": upload.filename,
            "length_bytes": upload.length_bytes,
            "offset_bytes": _visible_offset(context, upload),
            "bundle_id": upload.bundle_id,
            "path": upload.bundle_path,
            "expires_at": upload.expires_at,
            "completed_at": upload.completed_at,
            "raw_file_id": upload.raw_file_id,
            "job_id": received.job_id if received is not None else None,
        }
    )


def _visible_offset(context: RequestContext, upload: Upload) -> int:
    if upload.completed_at is not None:
        return upload.length_bytes
    if upload.checksum_pending:
        return upload.verified_offset_bytes
    try:
        return context.state.staging.path(upload.id).stat().st_size
    except FileNotFoundError:
        return 0
