"""Samples bit for bit, values right, views that lose nothing."""

import uuid
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from db.schema.people import program
from services.api import waveform_samples
from tests.api.conftest import Api
from tests.api.population import add_file, add_waveform

JSON = {"Accept": "application/json"}


@pytest.fixture
def raw_file(api: Api) -> uuid.UUID:
    with api.engine.connect() as connection:
        alpha = connection.execute(select(program.c.id)).scalar_one()
    return add_file(api.engine, api.state.blobs, alpha)


def add(api: Api, raw_file: uuid.UUID, samples: NDArray[Any], **values: object) -> str:
    return f"/waveforms/{add_waveform(api.engine, api.state.blobs, raw_file, samples, **values)}"


def view_naively(values: NDArray[np.float64], first: int, last: int, bins: int) -> list[tuple[float, float]]:
    span = last - first
    edges = [first + i * (span // bins) + i * (span % bins) // bins for i in range(bins + 1)]
    pairs = []
    for begin, end in pairwise(edges):
        finite = [v for v in values[begin:end] if np.isfinite(v)]
        pairs.append((min(finite), max(finite)) if finite else (np.nan, np.nan))
    return pairs


@pytest.mark.parametrize("dtype", ["<i1", "<u1", "<i2", "<u2", "<i4", "<f4", "<f8"])
def test_native_samples_are_the_stored_bytes(api: Api, raw_file: uuid.UUID, dtype: str) -> None:
    samples = np.random.default_rng(1).integers(0, 100, 2000).astype(dtype)
    answer = api.call("GET", add(api, raw_file, samples) + "/samples")
    assert answer.content == samples.tobytes()
    headers = answer.headers
    assert (headers["Faultlight-Dtype"], headers["Faultlight-Count"]) == (samples.dtype.newbyteorder("<").str, "2000")
    assert (headers["Faultlight-Gain"], headers["Faultlight-Offset"]) == ("0.5", "1.0")
    assert (headers["Faultlight-Unit"], headers["Faultlight-T0"], headers["Faultlight-Dt"]) == (
        "%C2%B5V", "-1e-09", "1e-10",
    )  # fmt: skip
    assert "immutable" in headers["Cache-Control"]


def test_values_are_scaled(api: Api, raw_file: uuid.UUID) -> None:
    path = add(api, raw_file, np.array([-3, 0, 5], np.int16), gain=-2.0, offset=0.25)
    floats = np.frombuffer(api.call("GET", path + "/samples?as=float32").content, "<f4")
    assert floats.tolist() == [6.25, 0.25, -9.75]
    document = api.call("GET", path + "/samples", headers=JSON).json()
    assert document["values"] == [6.25, 0.25, -9.75]
    assert (document["count"], document["unit"]) == (3, "µV")


def test_values_that_are_not_finite_become_null(api: Api, raw_file: uuid.UUID) -> None:
    path = add(api, raw_file, np.array([1, np.nan, np.inf, -np.inf], "<f4"), gain=1.0, offset=0.0)
    assert api.call("GET", path + "/samples", headers=JSON).json()["values"] == [1.0, None, None, None]
    view = api.call("GET", path + "/view?px=2", headers=JSON).json()
    assert (view["minimum"], view["maximum"]) == ([1.0, None], [1.0, None])
    binary = np.frombuffer(api.call("GET", path + "/view?px=2").content, "<f4")
    assert np.array_equal(binary, [1, 1, np.nan, np.nan], equal_nan=True)


def test_long_waveforms_are_streamed_in_blocks(api: Api, raw_file: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("services.api.waveform_samples", "services.api.routers.waveforms"):
        monkeypatch.setattr(f"{module}.BLOCK_SAMPLES", 100)
    samples = np.random.default_rng(2).integers(-999, 999, 1234, dtype=np.int16)
    path = add(api, raw_file, samples)
    assert api.call("GET", path + "/samples").content == samples.tobytes()
    values = samples * 0.5 + 1.0
    assert np.array_equal(np.frombuffer(api.call("GET", path + "/samples?as=float32").content, "<f4"), values)
    document = api.call("GET", path + "/samples", headers=JSON).json()
    assert document["values"] == values.tolist()


@pytest.mark.parametrize("seed", range(12))
def test_a_view_is_what_the_naive_twin_makes(
    api: Api, raw_file: uuid.UUID, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(seed)
    monkeypatch.setattr(waveform_samples, "VIEW_BLOCK_SAMPLES", int(numbers.integers(1, 400)))
    count = int(numbers.integers(2, 1000))
    samples = numbers.normal(size=count)
    samples[numbers.random(count) < 0.2] = np.nan
    gain = float(numbers.choice([-1.5, 2.0]))
    path = add(api, raw_file, samples, gain=gain, offset=0.5)
    first = int(numbers.integers(0, count - 1))
    last = int(numbers.integers(first + 1, count + 1))
    px = int(numbers.integers(1, 300))
    view = api.call("GET", f"{path}/view?from={first}&to={last}&px={px}", headers=JSON).json()
    bins = min(px, last - first)
    naive = view_naively(samples * gain + 0.5, first, last, bins)
    found = np.array([view["minimum"], view["maximum"]], float).T
    assert np.allclose(found, naive, rtol=1e-12, equal_nan=True)
    assert (view["edges"][0], view["edges"][-1], len(view["edges"])) == (first, last, bins + 1)
    binary = np.frombuffer(api.call("GET", f"{path}/view?from={first}&to={last}&px={px}").content, "<f4")
    assert np.allclose(binary.reshape(-1, 2), naive, rtol=1e-6, equal_nan=True)


def test_a_glitch_of_one_sample_is_seen_wherever_it_is(api: Api, raw_file: uuid.UUID) -> None:
    for place in (0, 1, 262_143, 262_144, 262_145, 599_999):
        samples = np.zeros(600_000, np.int16)
        samples[place] = 30_000
        view = np.frombuffer(api.call("GET", add(api, raw_file, samples) + "/view?px=500").content, "<f4")
        assert view.max() == 15_001.0
        assert np.flatnonzero(view.reshape(-1, 2)[:, 1] > 2).tolist() == [place * 500 // 600_000]


@pytest.mark.parametrize("query", ["from=100", "from=50&to=50", "px=0", "px=99999", "from=-1", "to=0", "from=x"])
def test_a_view_of_nothing_is_refused(api: Api, raw_file: uuid.UUID, query: str) -> None:
    path = add(api, raw_file, np.arange(100, dtype=np.int16))
    assert api.call("GET", f"{path}/view?{query}").status_code == 422


def test_what_the_client_has_is_not_sent_again(api: Api, raw_file: uuid.UUID) -> None:
    path = add(api, raw_file, np.arange(100, dtype=np.int16))
    tags = set()
    for suffix, headers in (("", {}), ("/samples", {}), ("/samples", JSON), ("/samples?as=float32", {}), ("/view", {})):
        first = api.call("GET", path + suffix, headers=headers)
        tags.add(first.headers["ETag"])
        again = api.call("GET", path + suffix, headers={**headers, "If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 5


def test_missing_bytes_are_told_not_invented(api: Api, raw_file: uuid.UUID) -> None:
    path = add(api, raw_file, np.arange(100, dtype=np.int16), sample_count=1000)
    answer = api.call("GET", path + "/samples")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/original-missing"


def test_an_original_is_served_in_ranges(api: Api, raw_file: uuid.UUID) -> None:
    path, content = f"/files/{raw_file}/content", b"the original bytes of a file"
    size = len(content)
    for text, first, last in (
        ("bytes=0-3", 0, 4), ("bytes=5-", 5, size), ("bytes=-4", size - 4, size), ("bytes=3-9999", 3, size),
        ("bytes=-9999", 0, size),
    ):  # fmt: skip
        answer = api.call("GET", path, headers={"Range": text})
        assert (answer.status_code, answer.content) == (206, content[first:last])
        assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
    for text in ("bytes=0-1,4-5", "bytes=9-2", "lines=1-2", "bytes=-", "bytes=a-b"):
        answer = api.call("GET", path, headers={"Range": text})
        assert (answer.status_code, answer.content) == (200, content)
    for text in ("bytes=28-", "bytes=-0", "bytes=999-1000"):
        answer = api.call("GET", path, headers={"Range": text})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    stale = api.call("GET", path, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, content)
