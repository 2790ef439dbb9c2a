import struct
from pathlib import Path

import nptdms
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import HEAD_BYTES, Confidence, Source
from instruments.errors import CountMismatch, InstrumentError, ReaderCrashed
from instruments.packing import pack
from instruments.probing import tdms, tdms_blocks
from instruments.probing.tdms import TdmsAdapter
from instruments.records import Record, Table, Waveform
from instruments.registry import Registry, read_source
from tests.instruments.probing import tdms_writer as w

ADAPTER = TdmsAdapter()
ONLY = Registry([ADAPTER])


def source_of(path: Path) -> Source:
    with path.open("rb") as stream:
        return Source(path, path.name, path.stat().st_size, stream.read(HEAD_BYTES), {})


def place(folder: Path, data: bytes, name: str = "x.tdms") -> Source:
    path = folder / name
    path.write_bytes(data)
    return source_of(path)


def read(source: Source) -> dict[str, Record]:
    result = read_source(source, ONLY, "tdms")
    assert result.format == "tdms"
    return {record.name: record for record in result.records}


def waves(source: Source) -> dict[str, Waveform]:
    records = read(source)
    assert all(isinstance(record, Waveform) for record in records.values())
    return records


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(InstrumentError) as caught:
        read(place(folder, data))
    return f"{type(caught.value).__name__}: {caught.value}"


def same_as_nptdms(path: Path, found: dict[str, Waveform]) -> int:
    """Compare every value with npTDMS's own; return how many channels it has."""
    file = nptdms.TdmsFile.read(path)
    channels = [channel for group in file.groups() for channel in group.channels() if len(channel)]
    for channel in channels:
        waveform = found[f"{channel.group_name}/{channel.name}"]
        expected = np.asarray(channel[:], np.float64)
        np.testing.assert_allclose(waveform.values(), expected, rtol=1e-15, atol=0)
        assert (waveform.minimum, waveform.maximum) == pytest.approx((expected.min(), expected.max()), rel=1e-12)
    return len(channels)


@pytest.mark.shared_data
def test_the_real_daqmx_file_has_the_manifests_values(shared_data):
    source = source_of(shared_data / "formats/tdms/raw1.tdms")
    assert ADAPTER.sniff(source).confidence is Confidence.CERTAIN
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 7
    ranges = {
        "First  Channel": (-0.29725, 0.414747),
        "Second Chan": (0.550859, 1.25431),
        "Third Chan": (1.39073, 2.09967),
        "Fourth Chan": (2.21656, 2.92062),
        "Fifth Chan": (3.03964, 3.72051),
        "Sixth Chan": (3.80139, 4.5027),
        "Seventh Cha": (4.55519, 5.24857),
    }
    assert list(found) == [f"Layer Data/{name}" for name in ranges]
    for waveform, (low, high) in zip(found.values(), ranges.values(), strict=True):
        assert waveform.samples.count == 2000
        assert waveform.samples.dtype == np.dtype("<i2")
        assert (waveform.dt_s, waveform.t0_s, waveform.unit) == (1.9999999999999998e-05, 0.0, "Volts")
        assert waveform.minimum == pytest.approx(low, rel=1e-5)
        assert waveform.maximum == pytest.approx(high, rel=1e-5)
        assert waveform.gain == 0.0003051850947599719
        assert waveform.warnings == ()
        assert waveform.vendor_metadata["channel"]["wf_start_time"] == "2016-12-15T22:35:21.000000"
        assert waveform.vendor_metadata["scales"] == ["DAQmx", "Linear"]
        assert waveform.vendor_metadata["file"] == {"name": "Raw Layer_00001", "tdms_version": 4713}


@pytest.mark.shared_data
def test_every_cut_of_the_real_file_is_refused(shared_data, tmp_path):
    data = (shared_data / "formats/tdms/raw1.tdms").read_bytes()
    ends = {4096, 32737, len(data)}
    for length in range(0, len(data), 97):
        if length not in ends:
            refusal(tmp_path, data[:length])


def test_chunks_segments_and_scales(tmp_path):
    source = place(tmp_path, w.two_channels())
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 2
    first, second = found.values()
    assert first.samples.array().tolist() == list(range(120))
    assert (first.samples.dtype, first.gain, first.offset) == (np.dtype("<i2"), 0.5, -1.0)
    assert (second.samples.dtype, second.gain, second.offset) == (np.dtype("<f8"), 1.0, 0.0)
    assert (first.dt_s, first.t0_s, first.unit) == (1e-6, -2e-3, "V")
    assert first.warnings == second.warnings == ()
    assert first.vendor_metadata["pieces"] == 2


@pytest.mark.parametrize("block_bytes", [8, 24, 100, 8 << 20])
@pytest.mark.parametrize("flags", [0, w.INTERLEAVED, w.BIG, w.BIG | w.INTERLEAVED])
def test_layouts_read_the_same_in_blocks_of_any_size(tmp_path, monkeypatch, flags, block_bytes):
    monkeypatch.setattr(tdms_blocks, "BLOCK_BYTES", block_bytes)
    order = ">" if flags & w.BIG else "<"
    values = {"i1": np.arange(-30, 30), "u2": np.arange(60) * 999, "f4": np.arange(60) / 3, "i8": np.arange(60) - 2**40}
    arrays = {kind: array.astype(f"{order}{kind}") for kind, array in values.items()}
    items = [w.Item(w.channel(kind), w.index(kind, 20, order)) for kind in arrays]
    if flags & w.INTERLEAVED:
        raw = b"".join(array[k : k + 1].tobytes() for k in range(60) for array in arrays.values())
    else:
        raw = b"".join(array[k : k + 20].tobytes() for k in range(0, 60, 20) for array in arrays.values())
    source = place(tmp_path, w.segment(items, raw, flags=w.NEW_LIST | flags))
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 4
    for kind, array in arrays.items():
        assert found[f"g/{kind}"].samples.dtype == np.dtype(f"<{kind}")
        np.testing.assert_array_equal(found[f"g/{kind}"].samples.array(), array)
        sizes = [block.nbytes for block in found[f"g/{kind}"].samples.blocks()]
        assert max(sizes) <= max(block_bytes, 8)


def test_objects_come_go_and_change_from_segment_to_segment(tmp_path):
    def raw(kind, *values):
        return np.array(values, f"<{kind}").tobytes()

    a, b, c = (w.channel(name) for name in "abc")
    data = b"".join(
        (
            w.segment([w.Item(a, w.index("i2", 2)), w.Item(b, w.index("f4", 1))], raw("i2", 1, 2) + raw("f4", 0.5)),
            # b stops, c begins, a stands as it was
            w.segment([w.Item(b), w.Item(c, w.index("u1", 3))], raw("i2", 3, 4) + raw("u1", 7, 8, 9), flags=0),
            # b comes back with its index of old, a has another number of values
            w.segment(
                [w.Item(b, w.SAME), w.Item(a, w.index("i2", 1))],
                raw("i2", 5) + raw("f4", 1.5) + raw("u1", 10, 11, 12),
                flags=0,
            ),
            # a new list with only c, which refers to its index
            w.segment([w.Item(c, w.SAME)], raw("u1", 13, 14, 15, 16, 17, 18)),
            w.segment([w.Item("/", properties={"note": "no data"})]),
        )
    )
    source = place(tmp_path, data)
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 3
    assert found["g/a"].samples.array().tolist() == [1, 2, 3, 4, 5]
    assert found["g/b"].samples.array().tolist() == [0.5, 1.5]
    assert found["g/c"].samples.array().tolist() == list(range(7, 19))


def test_nptdms_own_writer(tmp_path):
    path = tmp_path / "x.tdms"
    values = np.random.default_rng(3).normal(size=1000)
    with nptdms.TdmsWriter(path) as writer:
        for part in np.split(values, 4):
            writer.write_segment([nptdms.ChannelObject("g's", "a/'b'", part, {"wf_increment": 0.25})])
    found = waves(source_of(path))
    assert same_as_nptdms(path, found) == 1
    (waveform,) = found.values()
    assert (waveform.name, waveform.dt_s, waveform.t0_s, waveform.unit) == ("g's/a/'b'", 0.25, None, "unknown")
    assert waveform.warnings == (
        "the properties give no unit",
        "there is no wf_start_offset: the time of the first sample is unknown",
    )


@pytest.mark.parametrize(
    ("properties", "dt_s", "t0_s", "warning"),
    [
        ({}, None, None, "there is no wf_increment: the distance of samples is unknown"),
        (
            {"wf_increment": 0.0, "wf_start_offset": 0.0},
            None,
            None,
            "wf_increment is not a positive number: the distance of samples is unknown",
        ),
        (
            {"wf_increment": float("nan")},
            None,
            None,
            "wf_increment is not a positive number: the distance of samples is unknown",
        ),
        ({"wf_increment": 1.0, "wf_xunit_string": "Hz"}, None, None, "the axis is Time in Hz, not time in seconds"),
        (
            {"wf_increment": 1.0, "wf_xname": "Frequency"},
            None,
            None,
            "the axis is Frequency in s, not time in seconds",
        ),
        ({"wf_increment": 1e-9, "wf_start_offset": 2.5, "wf_xunit_string": "s", "wf_xname": "Time"}, 1e-9, 2.5, None),
    ],
)
def test_time_is_known_or_unknown(tmp_path, properties, dt_s, t0_s, warning):
    item = w.Item(w.channel("a"), w.index("i2", 2), {"unit_string": "V", **properties})
    (waveform,) = waves(place(tmp_path, w.segment([item], bytes(4)))).values()
    assert (waveform.dt_s, waveform.t0_s) == (dt_s, t0_s)
    assert waveform.warnings == ((warning,) if warning else ())


def scales(*steps: dict[str, object], **more: object) -> dict[str, object]:
    made: dict[str, object] = {"NI_Number_Of_Scales": len(steps), "NI_Scaling_Status": "unscaled", "unit_string": "V"}
    for number, step in enumerate(steps):
        made |= {f"NI_Scale[{number}]_{key}": value for key, value in step.items()}
    return made | more


LINEAR = {"Scale_Type": "Linear", "Linear_Slope": 2.0, "Linear_Y_Intercept": 1.0, "Linear_Input_Source": 0xFFFFFFFF}
POLYNOMIAL = {
    "Scale_Type": "Polynomial",
    "Polynomial_Coefficients_Size": 3,
    "Polynomial_Coefficients[0]": 1.0,
    "Polynomial_Coefficients[1]": 0.5,
    "Polynomial_Coefficients[2]": 0.25,
    "Polynomial_Input_Source": 0,
}


def scaled(properties: dict[str, object]) -> bytes:
    return w.segment([w.Item(w.channel("a"), w.index("i2", 3), properties)], np.array([1, 2, 3], "<i2").tobytes())


def test_scales_that_are_not_one_line_are_computed(tmp_path):
    source = place(tmp_path, scaled(scales(LINEAR, POLYNOMIAL)))
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 1
    (waveform,) = found.values()
    assert (waveform.samples.dtype, waveform.gain, waveform.offset) == (np.dtype("<f8"), 1.0, 0.0)
    assert waveform.values().tolist() == [1 + 0.5 * x + 0.25 * x * x for x in (3, 5, 7)]
    assert waveform.vendor_metadata["scales"] == ["Linear", "Polynomial"]


def test_values_scaled_before_they_were_written_stay(tmp_path):
    properties = scales(LINEAR) | {"NI_Scaling_Status": "scaled"}
    (waveform,) = waves(place(tmp_path, scaled(properties))).values()
    assert waveform.values().tolist() == [1.0, 2.0, 3.0]
    assert waveform.vendor_metadata["scales"] == ["scaled before it was written"]


def test_scales_of_the_group_count_where_the_channel_has_none(tmp_path):
    items = [w.Item("/'g'", properties=scales(LINEAR)), w.Item(w.channel("a"), w.index("i2", 1), {"unit_string": "V"})]
    source = place(tmp_path, w.segment(items, b"\x05\0"))
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 1
    assert found["g/a"].gain == 2.0


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            scales({"Scale_Type": "PieceWisePolynomial"}),
            "UnsupportedVersion: x.tdms: the type of scale 0 of channel g/a is not known (found PieceWisePolynomial)",
        ),
        (
            scales(LINEAR | {"Linear_Slope": 0.0}),
            "CorruptField: x.tdms: the linear scale of channel g/a has the slope 0",
        ),
        (
            scales(LINEAR | {"Linear_Slope": "much"}),
            "CorruptField: x.tdms: NI_Scale[0]_Linear_Slope of channel g/a is no number (found much)",
        ),
        (
            scales(LINEAR | {"Linear_Input_Source": 0}),
            "CorruptField: x.tdms: scale 0 of channel g/a takes one that does not come before it"
            " (expected < 0, found 0)",
        ),
        (
            scales(LINEAR) | {"NI_Number_Of_Scales": 2},
            "CorruptField: x.tdms: scale 1 of channel g/a has no type",
        ),
        (
            scales(LINEAR) | {"NI_Number_Of_Scales": 2000000},
            "CorruptField: x.tdms: the number of scales of channel g/a is not right (found 2000000)",
        ),
        (
            scales({"Scale_Type": "Polynomial", "Polynomial_Coefficients_Size": 1}),
            "CorruptField: x.tdms: npTDMS refuses the scales of channel g/a:"
            " KeyError('NI_Scale[0]_Polynomial_Coefficients[0]')",
        ),
    ],
)
def test_scales_refused_in_full(tmp_path, properties, message):
    assert refusal(tmp_path, scaled(properties)) == message


def test_text_time_stamps_logic_and_complex_values(tmp_path):
    words = "".join(("", "µm", "done")).encode()
    ends = struct.pack("<III", 0, 3, 7)
    stamps = struct.pack("<QqQq", 1 << 63, 3_600, 0, -1)
    numbers = np.array([1 + 2j, -3 - 4j], "<c8").tobytes()
    items = [
        w.Item(w.channel("text"), w.text_index(3, len(ends + words))),
        w.Item(w.channel("when"), w.stamp_index(2)),
        w.Item(w.channel("on"), w.index("b1", 3), w.WAVE),
        w.Item(w.channel("iq"), w.index("c8", 2), w.WAVE),
        w.Item(w.channel("none")),
    ]
    found = read(place(tmp_path, w.segment(items, ends + words + stamps + b"\1\0\2" + numbers)))
    text, when, on, real, imaginary = found.values()
    assert isinstance(text, Table)
    assert text.columns["text"].tolist() == ["", "µm", "done"]
    assert isinstance(when, Table)
    assert when.columns["seconds_since_1904"].tolist() == [3600, -1]
    assert when.columns["fraction_s"].tolist() == [0.5, 0.0]
    assert dict(when.units) == {"seconds_since_1904": "s", "fraction_s": "s"}
    assert isinstance(on, Waveform)
    assert (on.kind, on.unit, on.samples.array().tolist()) == ("digital_lines", "logic level", [1, 0, 1])
    assert isinstance(real, Waveform)
    assert isinstance(imaginary, Waveform)
    assert (real.name, imaginary.name) == ("g/iq (real)", "g/iq (imaginary)")
    assert (real.values().tolist(), imaginary.values().tolist()) == ([1.0, -3.0], [2.0, -4.0])
    assert real.samples.dtype == np.dtype("<f4")
    assert set(text.warnings) == {"1 channels hold no samples: g/none"}
    pack(read_source(source_of(tmp_path / "x.tdms"), ONLY, "tdms"), tmp_path / "packed")


def test_daqmx_buffers_of_two_cards_and_digital_lines(tmp_path):
    rows, chunks = 5, 3
    first = np.arange(rows * chunks * 2, dtype="<i2").reshape(chunks, rows, 2)
    second = (np.arange(rows * chunks, dtype="<u4") * 70000).reshape(chunks, rows, 1)
    scale = scales({}, LINEAR | {"Linear_Input_Source": 0})
    del scale["NI_Scaling_Status"]
    items = [
        w.Item(w.channel("a"), w.daqmx_index(rows, [("i2", 0, 0, 0)], (4, 4)), scale),
        w.Item(w.channel("b"), w.daqmx_index(rows, [("i2", 0, 2, 0)], (4, 4)), scale),
        w.Item(w.channel("c"), w.daqmx_index(rows, [("u4", 1, 0, 0)], (4, 4)), scale),
    ]
    raw = b"".join(first[k].tobytes() + second[k].tobytes() for k in range(chunks))
    source = place(tmp_path, w.segment(items, raw, flags=w.NEW_LIST | w.DAQMX | w.INTERLEAVED))
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 3
    assert found["g/b"].samples.array().tolist() == first[:, :, 1].ravel().tolist()
    assert found["g/c"].samples.dtype == np.dtype("<u4")
    lines = [w.Item(w.channel(f"line{bit}"), w.line_index(4, bit, 2)) for bit in (0, 3, 9)]
    raw = np.array([[1, 0], [8, 2], [9, 2], [0, 1]], "u1").tobytes()
    source = place(tmp_path, w.segment(lines, raw, flags=w.NEW_LIST | w.DAQMX))
    found = waves(source)
    assert same_as_nptdms(source.path, found) == 3
    assert [line.samples.array().tolist() for line in found.values()] == [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    assert {(line.kind, line.unit) for line in found.values()} == {("digital_lines", "logic level")}


def daqmx(*indices: bytes, rows: int = 2, width: int = 4, properties: dict[str, object] | None = None) -> bytes:
    items = [w.Item(w.channel(f"c{k}"), index, properties or {}) for k, index in enumerate(indices)]
    return w.segment(items, bytes(rows * width), flags=w.NEW_LIST | w.DAQMX)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,))),
            "CorruptField: x.tdms: channel g/c0 has raw DAQmx data without the scale that gives them a unit",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0), ("i2", 0, 2, 1)], (4,))),
            "UnsupportedVersion: x.tdms: the DAQmx channel /'g'/'c0' has several scalers at byte 65"
            " (expected 1, found 2)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,), bitmap=3)),
            "UnsupportedVersion: x.tdms: a DAQmx scaler has a sample format bitmap, whose meaning is not documented"
            " at byte 81 (expected 0, found 3)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 3, 0)], (4,))),
            "CorruptField: x.tdms: a DAQmx scaler lies outside its row at byte 89 (expected 4, found 5)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 1, 0, 0)], (4,))),
            "CorruptField: x.tdms: the number of DAQmx buffers at byte 89 (expected > 1, found 1)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), w.daqmx_index(2, [("i2", 0, 1, 0)], (4,))),
            "CorruptField: x.tdms: the DAQmx channel /'g'/'c1' overlaps another one at byte 170",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), w.daqmx_index(2, [("i2", 0, 2, 0)], (8,))),
            "CorruptField: x.tdms: the DAQmx channel /'g'/'c1' has other widths than the first at byte 170",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), w.daqmx_index(1, [("i2", 0, 2, 0)], (4,))),
            "UnsupportedVersion: x.tdms: channels of one DAQmx buffer have different numbers of values at byte 170"
            " (expected 2, found 1)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), rows=3),
            "CountMismatch: x.tdms: the raw data of a segment are not a whole number of chunks at byte 101"
            " (expected n * 8, found 12)",
        ),
        (
            daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), w.index("i2", 2)),
            "UnsupportedVersion: x.tdms: a segment mixes DAQmx and other raw data at byte 4",
        ),
    ],
)
def test_daqmx_data_refused_in_full(tmp_path, data, message):
    assert refusal(tmp_path, data) == message


ONE = w.segment([w.Item(w.channel("a"), w.index("i2", 2))], bytes(4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"",
            "NotThisFormat: x.tdms: a segment does not begin with TDSm at byte 0 (expected 5444536d, found nothing)",
        ),
        (ONE[:20], "Truncated: x.tdms: the file ends within a segment's lead-in at byte 0 (expected 28, found 20)"),
        (ONE[:-1], "Truncated: x.tdms: the file ends within a segment at byte 71 (expected 72, found 71)"),
        (
            ONE[:12] + b"\xff" * 8 + ONE[20:],
            "Truncated: x.tdms: the last segment was never finished: its length is unknown at byte 12",
        ),
        (
            b"TDSh" + ONE[4:],
            "UnsupportedVersion: x.tdms: this is a TDMS index, which holds no samples; the .tdms file beside it has"
            " all at byte 0",
        ),
        (
            ONE + b"junk",
            "CorruptField: x.tdms: a segment does not begin with TDSm at byte 72 (expected 5444536d, found 6a756e6b)",
        ),
        (
            w.segment([w.Item(w.channel("a"), w.index("i2", 2))], bytes(5)),
            "CountMismatch: x.tdms: the raw data of a segment are not a whole number of chunks at byte 68"
            " (expected n * 4, found 5)",
        ),
        (
            w.segment([w.Item(w.channel("a"), w.index("i2", 2))], bytes(4), version=4711),
            "UnsupportedVersion: x.tdms: this version of TDMS is not known at byte 8"
            " (expected 4712 or 4713, found 4711)",
        ),
        (
            ONE + w.segment(None, bytes(4), version=4712),
            "CorruptField: x.tdms: segments are of different versions at byte 80 (expected 4713, found 4712)",
        ),
        (
            w.segment([w.Item(w.channel("a"), w.index("i2", 2))], bytes(4), flags=w.NEW_LIST | 1),
            "UnsupportedVersion: x.tdms: a segment has flags that are not known at byte 4 (found 0x1)",
        ),
        (w.segment(None, bytes(4)), "CorruptField: x.tdms: the first segment has no metadata at byte 4"),
        (
            w.segment([w.Item(w.channel("a"), w.SAME)], bytes(4)),
            "CorruptField: x.tdms: an object refers to an index that was never given at byte 44 (found /'g'/'a')",
        ),
        (
            w.segment([w.Item(w.channel("a"), w.index("i2", 2))] * 2, bytes(8)),
            "CorruptField: x.tdms: a segment lists an object twice at byte 68 (found /'g'/'a')",
        ),
        (
            w.segment([w.Item(w.channel("a"), struct.pack("<IIIQ", 20, 11, 1, 2))], bytes(20)),
            "UnsupportedVersion: x.tdms: the type of an object's values is not read at byte 48 (found 0xb)",
        ),
        (
            w.segment([w.Item(w.channel("a"), struct.pack("<IIIQ", 20, 2, 2, 2))], bytes(8)),
            "CorruptField: x.tdms: an array is not of one dimension at byte 44 (found 2)",
        ),
        (
            w.segment([w.Item(w.channel("a"), struct.pack("<IIIQ", 99, 2, 1, 2))], bytes(4)),
            "CorruptField: x.tdms: the length of a raw data index at byte 44 (expected 20, found 99)",
        ),
        (
            ONE + w.segment([w.Item(w.channel("a"), w.index("f4", 2))], bytes(8)),
            "CorruptField: x.tdms: an object changes its type at byte 116 (expected 2, found 9)",
        ),
        (
            w.segment(
                [w.Item(w.channel("a"), w.index("i2", 2)), w.Item(w.channel("b"), w.index("i2", 1))],
                bytes(6),
                flags=w.NEW_LIST | w.INTERLEAVED,
            ),
            "CorruptField: x.tdms: interleaved channels have different numbers of values at byte 104"
            " (expected 2, found 1)",
        ),
        (
            ONE[:4] + struct.pack("<I", w.METADATA | w.NEW_LIST) + ONE[8:],
            "CountMismatch: x.tdms: a segment without raw data has bytes where they would be at byte 68"
            " (expected 0, found 4)",
        ),
        (
            ONE[:20] + struct.pack("<Q", 99) + ONE[28:],
            "CorruptField: x.tdms: the raw data of a segment begin after its end at byte 20 (expected <= 44, found 99)",
        ),
        (
            ONE[:32] + struct.pack("<I", 4000) + ONE[36:],
            "Truncated: x.tdms: the metadata of a segment end within a field at byte 36 (expected 4000, found 32)",
        ),
        (w.segment([w.Item("/", properties={"a": 1})]), "CorruptField: x.tdms: the file holds no samples"),
        (
            w.segment([w.Item(w.channel("t"), w.text_index(2, 10))], struct.pack("<II", 1, 9) + b"ab"),
            "CorruptField: x.tdms: the texts of channel g/t are damaged: the ends of the texts are not those of the"
            " bytes",
        ),
    ],
)
def test_files_refused_in_full(tmp_path, data, message):
    assert refusal(tmp_path, data) == message


def test_the_second_count_catches_a_reader_that_miscounts(tmp_path, monkeypatch):
    walk = tdms.walk_tdms

    def wrong(*args):
        walked = walk(*args)
        next(iter(walked.channels.values())).count -= 1
        return walked

    monkeypatch.setattr(tdms, "walk_tdms", wrong)
    with pytest.raises(CountMismatch) as caught:
        read(place(tmp_path, ONE))
    assert str(caught.value) == (
        "x.tdms: npTDMS and the walk over the segments disagree about the values of g/a (expected 1, found 2)"
    )


def test_a_file_with_its_index_is_one_bundle(tmp_path):
    data = w.two_channels()
    (tmp_path / "x.tdms").write_bytes(data)
    (tmp_path / "x.tdms_index").write_bytes(b"TDSh, not looked at")
    members = {name: tmp_path / name for name in ("x.tdms", "x.tdms_index")}
    bundle = Source(tmp_path, "b", len(data), b"", members)
    assert ADAPTER.sniff(bundle).confidence is Confidence.CERTAIN
    assert [record.samples.count for record in waves(bundle).values()] == [120, 120]
    other = Source(tmp_path, "b", len(data), b"", {**members, "notes.txt": tmp_path / "x.tdms"})
    assert ADAPTER.sniff(other).confidence is Confidence.NO
    with pytest.raises(InstrumentError) as caught:
        read(other)
    assert str(caught.value) == "b: the bundle is not one .tdms file with its index"


SEEDS = (
    w.two_channels(4),
    daqmx(w.daqmx_index(2, [("i2", 0, 0, 0)], (4,)), properties=scales({}, LINEAR | {"Linear_Input_Source": 0})),
    w.segment([w.Item(w.channel("t"), w.text_index(2, 11))], struct.pack("<II", 1, 3) + b"abc"),
    scaled(scales(LINEAR, POLYNOMIAL)),
)


def check_mutant(folder: Path, data: bytes) -> None:
    """It is read with as many samples as bytes allow, or refused with a reason."""
    try:
        records = read(place(folder, data))
    except ReaderCrashed:
        raise
    except InstrumentError:
        return
    for record in records.values():
        if isinstance(record, Waveform):
            assert record.samples.array().size == record.samples.count
            assert record.samples.count * max(1, record.samples.dtype.itemsize // 8) <= 8 * len(data)


MUTATION = st.tuples(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 40),
)


def mutate(seed: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    data = bytearray(seed)
    for place_, value in changes:
        data[place_ % len(data)] = value
    return bytes(data[: len(data) - cut])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MUTATION)
def test_damaged_files_are_refused_or_read_whole(tmp_path_factory, mutation):
    check_mutant(tmp_path_factory.mktemp("tdms"), mutate(*mutation))


@pytest.mark.fuzz
@settings(max_examples=100_000, deadline=None)
@given(MUTATION)
def test_damaged_files_at_length(tmp_path_factory, mutation):
    check_mutant(tmp_path_factory.getbasetemp(), mutate(*mutation))


WAVE = {"wf_increment": 0.5, "wf_start_offset": 0.0, "unit_string": "V", "wf_start_time": bytes(16)}


def in_two_parts(**later: object) -> bytes:
    """A channel of 2 and 3 values; the second part's metadata have the properties ``later``."""
    first = w.segment([w.Item(w.channel("a"), w.index("f8", 2), WAVE)], np.arange(2.0).tobytes())
    second = w.segment([w.Item(w.channel("a"), w.index("f8", 3), later)], np.arange(2.0, 5.0).tobytes())
    return first + second


@pytest.mark.parametrize("later", [{}, WAVE, {"comment": "another"}, {"wf_increment": 0.5}])
def test_a_channel_in_parts_that_are_alike_is_one_waveform(tmp_path: Path, later: dict[str, object]) -> None:
    (waveform,) = waves(place(tmp_path, in_two_parts(**later))).values()
    assert (waveform.dt_s, waveform.t0_s, waveform.warnings) == (0.5, 0.0, ())
    assert waveform.values().tolist() == [0, 1, 2, 3, 4]


def test_an_interval_that_changes_after_some_of_the_data_is_unknown(tmp_path: Path) -> None:
    (waveform,) = waves(place(tmp_path, in_two_parts(wf_increment=0.25))).values()
    assert (waveform.dt_s, waveform.t0_s, waveform.samples.count) == (None, None, 5)
    assert waveform.warnings == ("wf_increment changes after some of the data: the distance of samples is unknown",)


def test_another_start_says_that_the_data_may_be_several_acquisitions(tmp_path: Path) -> None:
    (waveform,) = waves(place(tmp_path, in_two_parts(wf_start_time=b"\x01" + bytes(15)))).values()
    assert (waveform.dt_s, waveform.warnings) == (
        0.5,
        ("wf_start_time changes after some of the data: they may be several acquisitions in a row",),
    )


def test_a_unit_that_changes_after_some_of_the_data_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, in_two_parts(unit_string="mV")) == (
        "UnsupportedVersion: x.tdms: the property unit_string of channel g/a changes after some of its data"
    )
