"""Opening what the settings name: the database and the blob store."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from db.blobs import BlobStore
from db.engine import make_engine, make_reading_engine
from services.settings import Settings


class ConfigurationError(Exception):
    """A setting is missing or makes no sense; the message names the variable."""


def open_engine(settings: Settings, *, pool_size: int = 10) -> Engine:
    """Return an engine on the configured database.

    Raises:
        ConfigurationError: no database is configured.
    """
    return make_engine(_database_url(settings), pool_size=pool_size)


def open_reading_engine(settings: Settings) -> Engine:
    """Return an engine on the configured database for what only reads.

    Raises:
        ConfigurationError: no database is configured.
    """
    return make_reading_engine(_database_url(settings))


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise ConfigurationError(
            "set FAULTLIGHT_DATABASE_URL, or use `faultlight run`, which brings its own PostgreSQL"
        )
    return settings.database_url.get_secret_value()


def broker_url(settings: Settings) -> str:
    """Return the broker's URL.

    Raises:
        ConfigurationError: no broker is configured.
    """
    if settings.broker_url is None:
        raise ConfigurationError("set FAULTLIGHT_BROKER_URL, or use `faultlight run`, which brings its own broker")
    return settings.broker_url.get_secret_value()


def open_blobs(settings: Settings) -> BlobStore:
    """Return the configured blob store: S3, a folder, or ``blobs`` in the data folder.

    Raises:
        ConfigurationError: the URL is of another kind.
    """
    if settings.blob_url is None:
        return BlobStore.local(settings.data_dir / "blobs")
    parts = urlsplit(settings.blob_url)
    if parts.scheme == "file":
        return BlobStore.local(Path(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        return BlobStore.s3(parts.netloc, parts.path.strip("/"), _s3_options(settings))
    raise ConfigurationError(f"FAULTLIGHT_BLOB_URL is s3://bucket/prefix or file:///path, not {settings.blob_url}")


def _s3_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"region": settings.s3_region}
    if settings.s3_endpoint is not None:
        options["endpoint"] = settings.s3_endpoint
        options["virtual_hosted_style_request"] = False
        if settings.s3_endpoint.startswith("http://"):
            options["client_options"] = {"allow_http": True}
    if settings.s3_access_key_id is not None:
        options["access_key_id"] = settings.s3_access_key_id.get_secret_value()
    if settings.s3_secret_access_key is not None:
        options["secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
    return options
