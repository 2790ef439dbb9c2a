"""The blob store keeps one contract on a disk and on an S3 server (moto's, over HTTP through the real client)."""

import hashlib
import logging
import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from db.blobs import PART_BYTES, BlobMissing, BlobStore, raw_key, record_key
from services.settings import Settings
from services.stores import ConfigurationError, open_blobs

BUCKET = "faultlight"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """An S3 server on the loopback interface, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")).close()
    yield endpoint
    server.stop()


def s3_settings(endpoint: str, prefix: str, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        blob_url=f"s3://{BUCKET}/{prefix}",
        s3_endpoint=endpoint,
        s3_access_key_id=SecretStr("key"),
        s3_secret_access_key=SecretStr("secret"),
    )


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """An empty store of either kind, opened as the service opens it."""
    if request.param == "local":
        return open_blobs(Settings(data_dir=tmp_path, blob_url=None))
    endpoint: str = request.getfixturevalue("s3_endpoint")
    return open_blobs(s3_settings(endpoint, f"blobs/{tmp_path.name}", tmp_path))


def test_bytes_come_back(store: BlobStore) -> None:
    key = raw_key("p", "0" * 64)
    assert not store.exists(key)
    assert store.describe(key) is None
    store.put_bytes(key, b"hello world")
    assert store.exists(key)
    info = store.describe(key)
    assert info is not None
    assert (info.key, info.size_bytes) == (key, 11)
    assert info.modified_at.tzinfo is not None
    assert b"".join(store.stream(key)) == b"hello world"
    store.put_bytes(key, b"hello again")
    assert store.read_range(key, 0, 11) == b"hello again"


def test_ranges_are_exact_and_short_only_at_the_end(store: BlobStore) -> None:
    store.put_bytes("raw/p/a", bytes(range(256)))
    assert store.read_range("raw/p/a", 10, 5) == bytes(range(10, 15))
    assert store.read_range("raw/p/a", 255, 1) == b"\xff"
    assert store.read_range("raw/p/a", 250, 100) == bytes(range(250, 256))
    assert store.read_range("raw/p/a", 256, 1) == b""
    assert store.read_range("raw/p/a", 10_000, 1) == b""
    assert store.read_range("raw/p/a", 3, 0) == b""


def test_a_file_of_several_parts_is_stored_whole(store: BlobStore, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * (2 * PART_BYTES // (1 << 20)) + b"the end"
    path = tmp_path / "large"
    path.write_bytes(content)
    key = record_key("p", "large")
    store.put_file(key, path)
    assert path.exists()
    digest = hashlib.sha256()
    for chunk in store.stream(key):
        digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
    assert store.read_range(key, len(content) - 7, 7) == b"the end"
    assert store.read_range(key, PART_BYTES - 2, 4) == content[PART_BYTES - 2 : PART_BYTES + 2]
    store.put_file(key, path, move=True)
    assert not path.exists()
    target = tmp_path / "fetched"
    store.fetch(key, target)
    assert target.read_bytes() == content


def test_an_empty_file_is_an_object(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    store.put_file("raw/p/empty", path)
    info = store.describe("raw/p/empty")
    assert info is not None
    assert info.size_bytes == 0
    assert b"".join(store.stream("raw/p/empty")) == b""


def test_what_is_missing_is_told_with_its_key(store: BlobStore, tmp_path: Path) -> None:
    for attempt in (
        lambda: store.read_range("raw/p/none", 0, 1),
        lambda: list(store.stream("raw/p/none")),
        lambda: store.fetch("raw/p/none", tmp_path / "none"),
    ):
        with pytest.raises(BlobMissing) as caught:
            attempt()
        assert caught.value.key == "raw/p/none"
    store.delete("raw/p/none")


def test_listing_gives_the_keys_below_a_prefix(store: BlobStore) -> None:
    for key in ("raw/p/1", "raw/p/2", "raw/q/1", "records/p/1"):
        store.put_bytes(key, b"x")
    assert {info.key for info in store.list("raw")} == {"raw/p/1", "raw/p/2", "raw/q/1"}
    assert {info.key for info in store.list("raw/p")} == {"raw/p/1", "raw/p/2"}
    assert len(list(store.list())) == 4
    store.delete("raw/p/1")
    store.delete("raw/p/1")
    assert {info.key for info in store.list("raw/p")} == {"raw/p/2"}


def test_many_writers_of_one_key_harm_nobody(store: BlobStore, tmp_path: Path) -> None:
    """Two uploads of the same bytes may end at the same moment."""
    content = os.urandom(200_000)
    failures: list[Exception] = []

    def write(index: int) -> None:
        path = tmp_path / f"copy-{index}"
        path.write_bytes(content)
        try:
            store.put_file("raw/p/same", path)
            store.put_bytes("raw/p/same", content)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert b"".join(store.stream("raw/p/same")) == content
    assert [info.key for info in store.list("raw/p")] == ["raw/p/same"]


def test_a_local_store_gives_paths_and_s3_does_not(tmp_path: Path, s3_endpoint: str) -> None:
    local = open_blobs(Settings(data_dir=tmp_path, blob_url=f"file://{tmp_path}/elsewhere"))
    local.put_bytes("raw/p/1", b"x")
    path = local.local_path("raw/p/1")
    assert path is not None
    assert path.read_bytes() == b"x"
    assert path.is_relative_to(tmp_path / "elsewhere")
    assert local.local_path("raw/p/2") is None
    remote = open_blobs(s3_settings(s3_endpoint, "paths", tmp_path))
    remote.put_bytes("raw/p/1", b"x")
    assert remote.local_path("raw/p/1") is None


def test_the_prefix_of_the_bucket_parts_two_installations(tmp_path: Path, s3_endpoint: str) -> None:
    one, other = (open_blobs(s3_settings(s3_endpoint, prefix, tmp_path)) for prefix in ("one", "other"))
    one.put_bytes("raw/p/1", b"x")
    assert list(other.list()) == []
    with urllib.request.urlopen(f"{s3_endpoint}/{BUCKET}?list-type=2&prefix=one/") as answer:
        assert b"<Key>one/raw/p/1</Key>" in answer.read()


@pytest.mark.parametrize("url", ["http://host/x", "s3://", "s3:///no-bucket", "somewhere"])
def test_a_url_of_another_kind_is_refused_by_name(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="FAULTLIGHT_BLOB_URL"):
        open_blobs(Settings(data_dir=tmp_path, blob_url=url))
