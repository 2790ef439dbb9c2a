"""Identifiers are UUIDs of version 7, and increase over single ones and columns of them."""

import os
import time
import uuid

import pytest

from db import identifiers
from db.identifiers import uuid7, uuid7_column


def unpack(count: int) -> list[uuid.UUID]:
    return [uuid.UUID(bytes=value.tobytes()) for value in uuid7_column(count)]


def test_they_increase_whichever_way_they_are_made() -> None:
    made = [uuid7(), *unpack(9000), uuid7(), uuid7(), *unpack(1), *unpack(0), uuid7()]
    assert made == sorted(made)
    assert len(set(made)) == len(made) == 9005
    assert {(value.version, value.variant) for value in made} == {(7, uuid.RFC_4122)}


def test_they_tell_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifiers, "_next_tick", 0)
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    made = [uuid7(), *unpack(5000)]
    assert [value.int >> 80 for value in made[:4096]] == [1_700_000_000_123] * 4096
    assert [value.int >> 80 for value in made[4096:]] == [1_700_000_000_124] * 905
    assert [value.int >> 64 & 0xFFF for value in made[:3] + made[4095:4098]] == [0, 1, 2, 4095, 0, 1]


def test_a_clock_that_goes_back_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    assert before < uuid7() < unpack(1)[0] < uuid7()


def test_the_rest_is_random() -> None:
    rests = {value.int & ((1 << 62) - 1) for value in unpack(1000)}
    assert len(rests) == 1000
    assert {rest >> 58 for rest in rests} == set(range(16))


def test_a_forked_process_gives_other_random_bits() -> None:
    """The bits that were fetched ahead are not given away twice, by the parent and by its child."""
    uuid7()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, uuid7().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs = uuid.UUID(bytes=os.read(reader, 16))
    os.close(reader)
    os.close(writer)
    ours = uuid7()
    assert theirs.int & ((1 << 62) - 1) != ours.int & ((1 << 62) - 1)
