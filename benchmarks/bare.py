"""The bare routes that the API is measured against: the same rows by psycopg and orjson, and nothing else.

No key, no program, no log, no metrics. Reads ``BENCH_DATABASE`` (libpq URL), ``BENCH_PAGE_SQL`` and ``BENCH_BLOBS``
(the folder of the blob store) from the environment.
"""

import os
import uuid
from pathlib import Path

import orjson
import psycopg_pool
from fastapi import FastAPI, Response

_PLACE_SQL = "SELECT blob_key, byte_offset, byte_length FROM faultlight.waveform WHERE id = %s"


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), length, offset)


def app() -> FastAPI:
    """Return an application with a page of rows, a waveform by its id, a range of a known file, and ``/livez``."""
    application = FastAPI(openapi_url=None)
    pool = psycopg_pool.ConnectionPool(os.environ["BENCH_DATABASE"], min_size=4, max_size=10, open=True)
    page_sql = os.environ["BENCH_PAGE_SQL"].encode()
    blobs = Path(os.environ["BENCH_BLOBS"])

    @application.get("/page")
    def page() -> Response:
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(page_sql)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return Response(orjson.dumps({"items": rows}), media_type="application/json")

    @application.get("/waveforms/{waveform}/samples")
    def samples(waveform: uuid.UUID) -> Response:
        with pool.connection() as connection:
            row = connection.execute(_PLACE_SQL, (waveform,)).fetchone()
        if row is None:
            return Response(status_code=404)
        key, offset, length = row
        return Response(_read(blobs / key, offset, length), media_type="application/octet-stream")

    @application.get("/files/{key:path}")
    def known_file(key: str, offset: int, length: int) -> Response:
        return Response(_read(blobs / key, offset, length), media_type="application/octet-stream")

    @application.get("/livez")
    def livez() -> Response:
        return Response(b"ok")

    return application
