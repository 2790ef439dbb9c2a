"""The bare route that the API is measured against: the same rows by psycopg and orjson, and nothing else.

Reads ``BENCH_DATABASE`` (libpq URL), ``BENCH_PAGE_SQL`` and ``BENCH_BLOB`` (a file of samples) from the environment.
"""

import os
from pathlib import Path

import orjson
import psycopg_pool
from fastapi import FastAPI, Response


def app() -> FastAPI:
    """Return an application with ``/page``, ``/samples`` and ``/livez``."""
    application = FastAPI(openapi_url=None)
    pool = psycopg_pool.ConnectionPool(os.environ["BENCH_DATABASE"], min_size=4, max_size=10, open=True)
    page_sql = os.environ["BENCH_PAGE_SQL"].encode()
    blob = Path(os.environ["BENCH_BLOB"])
    length = int(os.environ["BENCH_BLOB_BYTES"])

    @application.get("/page")
    def page() -> Response:
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(page_sql)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return Response(orjson.dumps({"items": rows}), media_type="application/json")

    @application.get("/samples")
    def samples() -> Response:
        with blob.open("rb", buffering=0) as file:
            return Response(os.pread(file.fileno(), length, 0), media_type="application/octet-stream")

    @application.get("/livez")
    def livez() -> Response:
        return Response(b"ok")

    return application
