"""A cap on what is sent: right on the clock's average, whatever the sizes, and over the head as well as the body."""

import os

import httpx
import pytest

from services.uploader.bandwidth import TokenBucket, parse_rate
from services.uploader.client import UploadClient
from services.uploader.stopping import Stop, Stopped
from services.uploader.transfer import ChunkSize, Timing
from tests.uploader.conftest import HALF, PROGRAM, Bench, FakeTime
from tests.uploader.test_cuts import port  # noqa: F401


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1000", 1e3), ("500k", 5e5), (" 2M ", 2e6), ("1.5MB/s", 1.5e6), ("1G", 1e9), ("64kB/s", 6.4e4)],
)
def test_a_rate_is_bytes_per_second(text: str, expected: float) -> None:
    assert parse_rate(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "-1", "1e6", "2 M", "2m", "1Mbit", "0", "999", "nan", "0.5k"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rate|is too little"):
        parse_rate(text)


def test_the_average_keeps_the_cap_and_uses_it() -> None:
    time = FakeTime()
    bucket = TokenBucket(10_000.0, time.clock, time.sleep)
    started_s = time.now_s
    for count in [1, 7, 2500, 40_000, 3, 9_989] * 10:
        bucket.take(count)
    assert time.now_s - started_s == pytest.approx(52.5, rel=0.06)


def test_what_was_not_used_is_not_saved_up() -> None:
    time = FakeTime()
    bucket = TokenBucket(10_000.0, time.clock, time.sleep)
    time.now_s += 86400.0
    started_s = time.now_s
    bucket.take(10_000)
    bucket.take(10_000)
    assert time.now_s - started_s > 1.7


def test_a_clock_that_goes_back_lends_nothing_and_costs_nothing() -> None:
    time = FakeTime()
    bucket = TokenBucket(10_000.0, time.clock, time.sleep)
    bucket.take(2_500)
    time.now_s -= 500.0
    bucket.take(10_000)
    assert time.slept == [1.0]


def test_a_chunk_of_a_capped_line_takes_half_a_minute_at_most() -> None:
    for rate in (1e3, 1e5, 1e6):
        chunk = ChunkSize(rate)
        for _ in range(20):
            chunk.arrived(0.0)
        assert chunk.value <= 30 * rate
    assert ChunkSize(1e9).value == ChunkSize().value


@pytest.mark.parametrize("size", [100, 300_000, 5 << 20])
def test_every_byte_of_an_upload_passes_the_cap(bench: Bench, port: int, size: int) -> None:  # noqa: F811
    data = os.urandom(size)
    bucket = TokenBucket(100_000.0, bench.time.clock, bench.time.sleep)
    timing = Timing(tries=2, backoff=HALF, sleep=bench.time.sleep, clock=bench.time.clock, bucket=bucket)
    started_s = bench.time.now_s
    with UploadClient(f"http://127.0.0.1:{port}", bench.key, timing=timing) as client:
        outcome = client.upload_file(bench.write("a.bin", data), PROGRAM)
    took_s = bench.time.now_s - started_s
    assert size / 100_000.0 - 0.3 < took_s < size / 100_000.0 * 1.02 + 0.1
    assert bench.api.call("GET", f"/files/{outcome.raw_file_id}/content").content == data


def test_a_wait_for_the_cap_can_be_ended(bench: Bench, port: int) -> None:  # noqa: F811
    stop = Stop()

    def sleep(seconds: float) -> None:
        stop.set()
        stop.pause(seconds)

    timing = Timing(tries=2, bucket=TokenBucket(1000.0, sleep=sleep))
    client = UploadClient(f"http://127.0.0.1:{port}", bench.key, timing=timing)
    with pytest.raises(Stopped), client:
        client.upload_file(bench.write("a.bin", b"1" * 100_000), PROGRAM)
    assert bench.stored() == {}


def test_a_body_has_its_length_however_it_is_sent() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "ok"})

    bucket = TokenBucket(1e9)
    with UploadClient("http://h", "k", timing=Timing(bucket=bucket), transport=httpx.MockTransport(handle)) as client:
        client.report_health({"a": 1})
    assert seen[0].headers["Content-Length"] == str(len(b'{"a":1}'))
    assert "Transfer-Encoding" not in seen[0].headers
