"""SECS-II items: every format there and back, against secsgem, and every refusal."""

import math
import struct

import pytest
import secsgem.secs.variables as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.errors import CorruptField, InstrumentError, Truncated
from instruments.secs.clock import read_clock
from instruments.secs.items import (
    INTEGER_FORMATS,
    MAX_DEPTH,
    Item,
    binary_item,
    boolean_item,
    decode_item,
    encode_item,
    identifier_of,
    list_item,
    number_item,
    text_item,
    to_sml,
)

RANGES = {"I": lambda bits: (-(1 << bits - 1), (1 << bits - 1) - 1), "U": lambda bits: (0, (1 << bits) - 1)}


def integers(name: str):
    low, high = RANGES[name[0]](8 * int(name[1:]))
    return st.lists(st.integers(low, high), max_size=5).map(lambda values: number_item(name, *values))


leaves = st.one_of(
    *(integers(name) for name in INTEGER_FORMATS),
    st.lists(st.floats(allow_nan=False, width=32), max_size=5).map(lambda values: number_item("F4", *values)),
    st.lists(st.floats(allow_nan=False), max_size=5).map(lambda values: number_item("F8", *values)),
    st.lists(st.booleans(), max_size=5).map(lambda values: boolean_item(*values)),
    st.binary(max_size=300).map(lambda data: Item("B", data=data)),
    st.binary(max_size=20).map(lambda data: Item("J", data=data)),
    st.binary(max_size=20).map(lambda data: Item("C2", data=data)),
    st.text(st.characters(max_codepoint=127), max_size=20).map(text_item),
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4).map(lambda items: list_item(*items)), max_leaves=20
)


@settings(max_examples=200, deadline=None)
@given(item=trees)
def test_every_item_comes_back(item):
    assert decode_item(encode_item(item)) == item
    assert to_sml(item).startswith(f"<{item.format}")


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_an_item_or_refused(data):
    try:
        item = decode_item(data)
    except InstrumentError:
        return
    again = decode_item(encode_item(item))
    # nan is not equal to itself; its text is
    assert to_sml(again) == to_sml(item)


@settings(max_examples=200, deadline=None)
@given(item=trees, data=st.data())
def test_no_prefix_of_an_item_is_one(item, data):
    whole = encode_item(item)
    cut = data.draw(st.integers(1, max(1, len(whole) - 1)))
    if cut < len(whole):
        with pytest.raises((Truncated, CorruptField)):
            decode_item(whole[:cut])


@pytest.mark.parametrize("name", [*INTEGER_FORMATS, "F4", "F8"])
@pytest.mark.parametrize("values", [[], [1], [1, 2, 3], list(range(100))])
def test_numbers_are_those_of_secsgem(name, values):
    other = getattr(oracle, name)(values)
    ours = encode_item(number_item(name, *values))
    assert ours == other.encode()
    assert list(decode_item(other.encode()).values) == values


def test_other_formats_are_those_of_secsgem():
    assert encode_item(text_item("FIB-03")) == oracle.String("FIB-03").encode()
    assert encode_item(binary_item(0, 255)) == oracle.Binary(b"\x00\xff").encode()
    assert encode_item(boolean_item(True, False)) == oracle.Boolean([True, False]).encode()
    assert encode_item(list_item()) == oracle.Array(oracle.U4, []).encode()
    assert encode_item(list_item(number_item("U4", 7))) == oracle.Array(oracle.U4, [7]).encode()
    assert encode_item(text_item("x" * 300)) == oracle.String("x" * 300).encode()


def test_a_vector_and_a_list_of_scalars_are_two_things():
    vector = encode_item(number_item("F4", *range(1000)))
    listed = encode_item(list_item(*(number_item("F4", value) for value in range(1000))))
    assert (len(vector), len(listed)) == (4003, 6003)
    assert decode_item(vector).format == "F4"
    assert decode_item(listed).format == "L"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"\xb1", Truncated, "the message ends inside an item's length at byte 0"),
        (b"\xb1\x04\x00", Truncated, "the message ends inside an item at byte 0 (expected 4, found 1)"),
        (
            b"\x01\x02\xb1\x00",
            Truncated,
            "a list promises more items than there are bytes at byte 2 (expected 2, found 1)",
        ),
        (
            b"\x03\xff\xff\xff",
            Truncated,
            "a list promises more items than there are bytes at byte 4 (expected 16777215, found 0)",
        ),
        (b"\xb1\x03abc", CorruptField, "the length of a U4 item does not fit at byte 0 (expected 4, found 3)"),
        (b"\xb0", CorruptField, "there is no such item format at byte 0 (found 0xb0)"),
        (b"\x05\x00", CorruptField, "there is no such item format at byte 0 (found 0x05)"),
        (b"\x01\x00x", CorruptField, "bytes follow the item at byte 2 (expected 2, found 3)"),
    ],
)
def test_damage_is_told_with_its_place(body, kind, message):
    with pytest.raises(InstrumentError) as caught:
        decode_item(body)
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_lists_may_be_deep_but_not_endless():
    assert decode_item(b"\x01\x01" * MAX_DEPTH + b"\xa5\x00") is not None
    with pytest.raises(CorruptField, match="nested too deep"):
        decode_item(b"\x01\x01" * (MAX_DEPTH + 1) + b"\xa5\x00")
    with pytest.raises(CorruptField, match="nested too deep"):
        decode_item(b"\x01\x01" * 100_000 + b"\xa5\x00")


@pytest.mark.parametrize(("name", "value"), [("U1", 256), ("U4", -1), ("I2", 1.5), ("F4", 1e39)])
def test_a_value_that_does_not_fit_is_not_sent(name, value):
    with pytest.raises(ValueError, match="does not fit"):
        encode_item(number_item(name, value))


def test_nothing_is_a_message_of_the_header_alone():
    assert decode_item(b"") is None
    assert encode_item(None) == b""


def test_ids_are_the_same_in_every_format():
    same = [number_item("U4", 17), number_item("I2", 17), text_item("17"), text_item(" 17 "), binary_item(17)]
    assert {identifier_of(item) for item in same} == {"17"}
    assert [identifier_of(item) for item in (number_item("U4"), number_item("U4", 1, 2), list_item())] == [None] * 3


def test_bytes_that_are_no_text_are_shown_not_lost():
    assert Item("A", data=b"caf\xe9").text() == "caf\\xe9"
    assert Item("C2", data=b"\x00\x02" + "é".encode()).text() == "é"
    assert Item("C2", data=b"\x00\x01" + "é".encode("utf-16-be")).text() == "é"


def test_floats_keep_what_they_are():
    values = decode_item(b"\x91\x0c" + struct.pack(">3f", math.nan, math.inf, 0.1)).values
    assert math.isnan(values[0])
    assert values[1:] == (math.inf, struct.unpack(">f", struct.pack(">f", 0.1))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("261124113721", "2026-11-24T11:37:21"),
        ("991231235959", "1999-12-31T23:59:59"),
        ("20261124113721", "2026-11-24T11:37:21"),
        ("2026112411372105", "2026-11-24T11:37:21.050"),
        ("2026-11-24T11:37:21.5Z", "2026-11-24T11:37:21.500000+00:00"),
        ("2026-11-24T11:37:21+09:00", "2026-11-24T11:37:21+09:00"),
        ("20261324113721", ""),
        ("20260230000000", ""),
        ("yesterday", ""),
        ("", ""),
        ("1732448241", ""),
    ],
)
def test_clocks(text, expected):
    assert read_clock(text) == expected
