"""Many STDF results at once against one record at a time: the slow, obvious twin of the fast reader."""

import random
from typing import Any

import numpy as np
import pytest

from instruments.electrical.stdf_fields import Cursor, decode
from instruments.electrical.stdf_layouts import BY_NAME
from instruments.electrical.stdf_results import read_functional, read_multiple, read_parametric
from instruments.electrical.stdf_walk import walk
from tests.instruments.electrical.stdf_writer import StdfWriter

READERS = {"PTR": read_parametric, "MPR": read_multiple, "FTR": read_functional}
OPTIONAL = {
    "cycle": ("CYCL_CNT", 0x01),
    "relative_address": ("REL_VADR", 0x02),
    "repeat_count": ("REPT_CNT", 0x04),
    "failing_pins": ("NUM_FAIL", 0x08),
    "fail_x": ("XFAIL_AD", 0x10),
    "fail_y": ("YFAIL_AD", 0x10),
    "vector_offset": ("VECT_OFF", 0x20),
}


def random_log(order: str, seed: int) -> bytes:
    chance = random.Random(seed)
    log = StdfWriter(order)
    for _ in range(300):
        place = {"head": chance.randrange(1, 3), "site": chance.randrange(4)}
        number, flags = chance.randrange(1, 9), chance.choice((0, 0x40, 0x80, 0x0A))
        kind = chance.randrange(3)
        if kind == 0:
            name = chance.choice((None, "", "vout"))
            options = None if name is None else chance.choice((None, 0x0E, 0x30, 0xC2))
            limits = chance.choice((None, (-1.5, 2.5)))
            value = chance.uniform(-5, 5)
            log.ptr(number, value, flags=(flags, 0xC0), name=name, options=options, limits=limits, **place)
        elif kind == 1:
            count = chance.randrange(5)
            states = [chance.randrange(16) for _ in range(chance.choice((0, count, count + 1)))]
            pins = chance.choice((None, list(range(len(states)))))
            values = [chance.uniform(-5, 5) for _ in range(count)]
            log.mpr(number, values, states, flags=(flags, 0), pins=pins, **place)
        else:
            states = [(chance.randrange(9), chance.randrange(16)) for _ in range(chance.randrange(4))]
            options = chance.choice((None, 0xC0, 0xF6, 0xFF))
            bits = "".join(chance.choice("01") for _ in range(chance.randrange(20)))
            log.ftr(number, flags=flags, options=options, cycle=7, states=states, fail_bits=bits, name="f", **place)
    return log.data()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", READERS)
def test_the_fast_reader_agrees_with_the_slow_one(name: str, seed: int, order: str) -> None:
    walked = walk(random_log(order, seed), "a.stdf")
    block, leftover = READERS[name](walked)
    records = [decode_alone(walked, name, place) for place in walked.of(name).tolist()]
    assert leftover == 0
    assert len(records) == block.number.size > 50
    assert block.number.tolist() == [record["TEST_NUM"] for record in records]
    assert block.head.tolist() == [record["HEAD_NUM"] for record in records]
    assert block.site.tolist() == [record["SITE_NUM"] for record in records]
    assert block.test_flags.tolist() == [record["TEST_FLG"] for record in records]
    assert block.parameter_flags.tolist() == [record.get("PARM_FLG", 0) for record in records]
    first = 0
    for index, record in enumerate(records):
        values = record.get("RTN_RSLT") or [record.get("RESULT", np.nan)]
        last = first + len(values)
        assert block.elements[index] == len(values)
        np.testing.assert_array_equal(block.values[first:last], values)
        returned = record.get("RTN_STAT", [])
        states = returned if name == "MPR" and len(returned) == len(values) else [-1] * len(values)
        assert block.states[first:last].tolist() == states
        definition = block.definitions[block.definition[index]]
        assert {key: str(value) for key, value in definition.items()}.items() <= {
            key: str(value) for key, value in record.items()
        }.items()
        for column, (field, bit) in OPTIONAL.items() if name == "FTR" else ():
            there = field in record and not record["OPT_FLAG"] & bit
            np.testing.assert_equal(block.extras[column][index], record[field] if there else np.nan)
        first = last
    assert first == block.values.size


def decode_alone(walked: Any, name: str, place: int) -> dict[str, Any]:
    length = int.from_bytes(walked.data[place : place + 2], "little" if walked.order == "<" else "big")
    cursor = Cursor(walked.data, (place + 4, place + 4 + length), walked.order, name)
    fields = decode(BY_NAME[name], cursor)
    assert cursor.position == cursor.end
    return fields
