"""Waiting: full jitter, a cap, and what the service asks for."""

import pytest

from services.uploader.backoff import LONGEST_REQUEST_S, Backoff, parse_retry_after


def test_the_wait_is_drawn_between_nothing_and_a_doubling_limit() -> None:
    most = Backoff(base_s=1.0, cap_s=10.0, draw=lambda: 1.0)
    assert [most.wait_s(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    least = Backoff(base_s=1.0, cap_s=10.0, draw=lambda: 0.0)
    assert [least.wait_s(n) for n in (1, 5, 100_000)] == [0, 0, 0]
    assert most.wait_s(100_000) == 10


def test_the_service_is_never_asked_earlier_than_it_wants() -> None:
    backoff = Backoff(base_s=1.0, cap_s=10.0, draw=lambda: 0.5)
    assert backoff.wait_s(1, 30.0) == 30.5
    assert backoff.wait_s(1, 0.0) == 0.5


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Tue, 24 Nov 2026 10:00:30 GMT", "date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 09:00:00 GMT", "date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:50 GMT"}, 10.0),
        ({"retry-after": "999999999"}, LONGEST_REQUEST_S),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_REQUEST_S),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], expected_s: float | None) -> None:
    assert parse_retry_after(headers, now=lambda: 40.0) == expected_s
