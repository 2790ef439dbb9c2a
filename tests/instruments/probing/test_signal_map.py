import io
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import HEAD_BYTES, Confidence, Source
from instruments.errors import InstrumentError, ReaderCrashed
from instruments.probing.signal_map import SignalMapAdapter
from instruments.records import Raster, Record
from instruments.registry import Registry, read_source
from tests.instruments.probing.bundles import bundle, read_with

ADAPTER = SignalMapAdapter()
SCHEMA = "faultlight.signal-map/1"
RNG = np.random.default_rng(11)
COMPLEX = (RNG.normal(size=(4, 5)) + 1j * RNG.normal(size=(4, 5))).astype(np.complex64)
AMPLITUDE, PHASE = np.abs(COMPLEX), np.angle(COMPLEX)
IMAGE = np.arange(6, dtype=np.float32).reshape(2, 3)
"""Stored: 0 1 2 over 3 4 5."""


def tiff(*pages: np.ndarray, **options: Any) -> bytes:
    memory = io.BytesIO()
    with tifffile.TiffWriter(memory, bigtiff=options.pop("bigtiff", False)) as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", metadata=None, **options)
    return memory.getvalue()


def band(name: str, unit: str = "V", file: str = "m.tif", **more: Any) -> dict[str, Any]:
    return {"name": name, "unit": unit, "file": file, **more}


def document(*bands: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "name": "m", "bands": list(bands), "pitch_nm": 100, **more}


def placed(folder: Path, described: dict[str, Any], **files: bytes) -> Source:
    return bundle(folder, {"map.json": described, **{name.replace("_", "."): data for name, data in files.items()}})


def read(source: Source) -> dict[str, Record]:
    return read_with(ADAPTER, source)


def one(source: Source) -> Raster:
    (record,) = read(source).values()
    assert isinstance(record, Raster)
    return record


def refusal(source: Source) -> str:
    with pytest.raises(InstrumentError) as caught:
        read(source)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_amplitude_and_phase_on_two_pages(tmp_path):
    described = document(
        band("amplitude", page=0),
        band("phase", "rad", page=1),
        technique="LVI",
        frequency_hz=1e8,
        resolution_bandwidth_hz=300.0,
        phase_wrapped=True,
        rows=4,
        columns=5,
    )
    source = placed(tmp_path, described, m_tif=tiff(AMPLITUDE, PHASE))
    assert ADAPTER.sniff(source).confidence is Confidence.CERTAIN
    raster = one(source)
    np.testing.assert_array_equal(raster.values(), np.stack([AMPLITUDE, PHASE]).astype(float))
    assert [(item.name, item.unit) for item in raster.bands] == [("amplitude", "V"), ("phase", "rad")]
    assert (raster.kind, raster.rows, raster.columns, raster.samples.dtype) == ("signal_map", 4, 5, np.dtype("<f4"))
    assert (raster.pitch_x_m, raster.pitch_y_m, raster.frequency_hz) == (1e-7, 1e-7, 1e8)
    assert raster.warnings == ()
    assert raster.vendor_metadata["technique"] == "LVI"
    assert raster.vendor_metadata["resolution_bandwidth_hz"] == 300.0
    assert raster.vendor_metadata["sidecar"] == described


def test_complex_parts_and_amplitude_agree(tmp_path):
    described = document(
        band("complex", page=0), band("amplitude", page=1), band("phase", "deg", page=2), phase_wrapped=True
    )
    data = tiff(COMPLEX, AMPLITUDE, np.degrees(PHASE) % 360)
    raster = one(placed(tmp_path, described, m_tif=data))
    assert [item.name for item in raster.bands] == ["real", "imaginary", "amplitude", "phase"]
    np.testing.assert_array_equal(raster.values()[0] + 1j * raster.values()[1], COMPLEX)
    wrong = AMPLITUDE.copy()
    wrong[2, 3] *= 1.5
    assert refusal(placed(tmp_path, described, m_tif=tiff(COMPLEX, wrong, np.degrees(PHASE) % 360))) == (
        "CorruptField: b: the amplitude is not that of the real and imaginary parts, first at row 2, column 3"
        " (expected 0, found 1)"
    )
    assert refusal(placed(tmp_path, described, m_tif=tiff(COMPLEX, AMPLITUDE, -np.degrees(PHASE)))).startswith(
        "CorruptField: b: the phase is not that of the real and imaginary parts, first at row 0, column 0"
    )


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4", "f8", ">u2", ">f8"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}])
def test_sample_types_and_layouts(tmp_path, dtype, options):
    image = np.arange(600).reshape(20, 30).astype(dtype)
    order = {"byteorder": ">"} if dtype.startswith(">") else {}
    memory = io.BytesIO()
    big = options.get("bigtiff", False)
    plain = {key: value for key, value in options.items() if key != "bigtiff"}
    tifffile.imwrite(memory, image, photometric="minisblack", metadata=None, bigtiff=big, **plain, **order)
    raster = one(placed(tmp_path, document(band("reflectance", "1", gain=0.5, offset=1)), m_tif=memory.getvalue()))
    np.testing.assert_array_equal(raster.values()[0], image.astype(float) * 0.5 + 1)
    assert raster.samples.dtype == np.dtype(dtype).newbyteorder("<")
    assert (raster.gain, raster.offset) == (0.5, 1.0)


def test_bands_with_scales_of_their_own_are_converted(tmp_path):
    pages = tiff(np.array([[1, 2]], "u2"), np.array([[90, 180]], "u2"))
    described = document(
        band("amplitude", page=0, gain=0.1), band("phase", "deg", page=1, offset=-90), phase_wrapped=False
    )
    raster = one(placed(tmp_path, described, m_tif=pages))
    assert raster.values().tolist() == [[[0.1, 0.2]], [[0.0, 90.0]]]
    assert (raster.samples.dtype, raster.gain) == (np.dtype("<f8"), 1.0)


def test_a_grid_of_text_with_missing_pixels(tmp_path):
    text = b"made by hand\n1, 2.5, nan\n-3e-2, , 6\n"
    described = document(band("amplitude", file="m.csv", skip_lines=1), rows=2, columns=3)
    raster = one(placed(tmp_path, described, m_csv=text))
    expected = [[1.0, 2.5, math.nan], [-0.03, math.nan, 6.0]]
    np.testing.assert_array_equal(raster.values()[0], expected)
    assert (raster.minimum, raster.maximum) == (-0.03, 6.0)
    assert raster.warnings == ("2 of 6 pixels of amplitude are not finite",)
    raster = one(placed(tmp_path, document(band("amplitude", file="m.csv")), m_csv=b"1;2\n3;4"))
    assert raster.values()[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert raster.warnings == (
        "the last line of m.csv has no line end: it may be cut",
        "map.json gives no rows and columns: a cut grid of text would not be noticed",
    )


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        ({}, [[0, 1, 2], [3, 4, 5]]),
        ({"mirrored": True}, [[2, 1, 0], [5, 4, 3]]),
        ({"rotated_deg": 90}, [[2, 5], [1, 4], [0, 3]]),
        ({"rotated_deg": 180}, [[5, 4, 3], [2, 1, 0]]),
        ({"mirrored": True, "rotated_deg": 90}, [[0, 3], [1, 4], [2, 5]]),
        ({"mirrored": True, "rotated_deg": 270}, [[5, 2], [4, 1], [3, 0]]),
    ],
)
def test_orientation_turns_pixels_pitch_and_affine_alike(tmp_path, orientation, expected):
    more = {"pitch_x_nm": 200, "pitch_y_nm": 500, "affine_um": [[-0.2, 0, 7], [0, 0.5, 1]], "affine_of": "stored"}
    described = document(band("amplitude"), orientation=orientation, **more)
    del described["pitch_nm"]
    raster = one(placed(tmp_path, described, m_tif=tiff(IMAGE)))
    values = raster.values()[0]
    assert values.tolist() == expected
    turned = orientation.get("rotated_deg", 0) in (90, 270)
    assert (raster.pitch_x_m, raster.pitch_y_m) == ((5e-7, 2e-7) if turned else (2e-7, 5e-7))
    for row in range(2):
        for column in range(3):
            (y, x) = (int(index[0]) for index in np.nonzero(values == IMAGE[row, column]))
            place = np.array(raster.affine_um) @ (x, y, 1)
            assert place == pytest.approx((-0.2 * column + 7, 0.5 * row + 1))


def test_an_affine_of_the_oriented_image_stays(tmp_path):
    affine = [[0.1, 0.0, 3.0], [0.0, -0.1, 4.0]]
    described = document(
        band("amplitude"), orientation={"mirrored": True}, affine_um=affine, affine_of="oriented", comment="free"
    )
    raster = one(placed(tmp_path, described, m_tif=tiff(IMAGE)))
    assert raster.affine_um == ((0.1, 0.0, 3.0), (0.0, -0.1, 4.0))
    described.pop("pitch_nm")
    assert one(placed(tmp_path, described, m_tif=tiff(IMAGE))).pitch_y_m == pytest.approx(1e-7)


def test_several_maps_in_one_document(tmp_path):
    maps = [
        {"name": f"{frequency} MHz", "bands": [band("amplitude", page=page)], "frequency_hz": frequency * 1e6}
        for page, frequency in enumerate((10, 20))
    ]
    source = placed(tmp_path, {"schema": SCHEMA, "maps": maps}, m_tif=tiff(IMAGE, IMAGE + 1, IMAGE))
    found = read(source)
    assert [(name, item.frequency_hz, item.minimum) for name, item in found.items()] == [
        ("10 MHz", 1e7, 0.0),
        ("20 MHz", 2e7, 1.0),
    ]
    assert found["10 MHz"].warnings == ("1 pages of m.tif are not named", "the pixel pitch is unknown")


def lone(folder: Path, data: bytes, name: str = "m.tif") -> Source:
    path = folder / name
    path.write_bytes(data)
    return Source(path, name, len(data), data[:HEAD_BYTES], {})


def test_an_image_alone_is_refused_with_what_to_add(tmp_path):
    source = lone(tmp_path, tiff(IMAGE, IMAGE))
    assert ADAPTER.sniff(source).confidence is Confidence.POSSIBLE
    assert refusal(source) == (
        "UnsupportedVersion: m.tif: an image does not say what it is a map of: put it in a bundle with map.json, which"
        " says it (expected a bundle with map.json, found 2 pages: 2 x 3, 32 bits, 2 x 3, 32 bits)"
    )


@pytest.mark.shared_data
def test_a_microscopes_image_is_not_taken_for_a_map(shared_data):
    path = shared_data / "formats/sem_tiff/zeiss_example_sem.tif"
    result = read_source(lone_source(path), Registry.load())
    assert result.adapter != "signal_map"


def lone_source(path: Path) -> Source:
    with path.open("rb") as stream:
        return Source(path, path.name, path.stat().st_size, stream.read(HEAD_BYTES), {})


GOOD = tiff(IMAGE)
AMPLITUDE_BAND = band("amplitude")


@pytest.mark.parametrize(
    ("described", "files", "message"),
    [
        (
            document(),
            {"m_tif": GOOD},
            "map.json.bands is not right (expected a list with at least one band)",
        ),
        (
            document(band("loudness")),
            {"m_tif": GOOD},
            "map.json.bands[0].name is not right (expected amplitude, phase, real, imaginary, reflectance, grey,"
            " complex, found 'loudness')",
        ),
        (document(AMPLITUDE_BAND, AMPLITUDE_BAND), {"m_tif": GOOD}, "map.json.bands has two bands amplitude"),
        (document(band("real")), {"m_tif": GOOD}, "map.json.bands lacks imaginary"),
        (
            document(band("complex"), band("real"), band("imaginary")),
            {"m_tif": GOOD},
            "map.json.bands has complex and its parts",
        ),
        (
            document(band("phase", "V")),
            {"m_tif": GOOD},
            "map.json.bands[0].unit is not right (expected rad or deg, found 'V')",
        ),
        (
            document(AMPLITUDE_BAND, pitch_x_nm=1),
            {"m_tif": GOOD},
            "map.json has pitch_nm and pitch_x_nm or pitch_y_nm",
        ),
        (
            document(AMPLITUDE_BAND, orientation={"mirrored": True}, affine_um=[[0.1, 0, 0], [0, 0.1, 0]]),
            {"m_tif": GOOD},
            "map.json.affine_of is not right (expected stored or oriented, because there is an orientation)",
        ),
        (
            document(AMPLITUDE_BAND, affine_um=[[0.1, 0.1, 0], [0.1, 0.1, 0]]),
            {"m_tif": GOOD},
            "map.json.affine_um is not right (expected two rows of three numbers,"
            " found [[0.1, 0.1, 0], [0.1, 0.1, 0]])",
        ),
        (
            document(AMPLITUDE_BAND, affine_um=[[0.2, 0, 0], [0, 0.1, 0]]),
            {"m_tif": GOOD},
            "the affine's step in x is not the pixel pitch (expected 100 nm, found 200 nm)",
        ),
        (
            document(AMPLITUDE_BAND, frequency=1e6),
            {"m_tif": GOOD},
            "map.json.frequency is not known (found frequency)",
        ),
        (
            document(AMPLITUDE_BAND),
            {"m_tif": GOOD, "n_tif": GOOD},
            "map.json does not name n.tif (found 1)",
        ),
        (document(band("amplitude", page=1)), {"m_tif": GOOD}, "m.tif has no page 1 (expected < 1, found 1)"),
        (
            document(AMPLITUDE_BAND, band("phase", "rad", "n.tif")),
            {"m_tif": GOOD, "n_tif": tiff(IMAGE.T)},
            "the band phase has another size than amplitude (expected 2 x 3, found 3 x 2)",
        ),
        (
            document(AMPLITUDE_BAND, rows=9),
            {"m_tif": GOOD},
            "the image has not the rows that the sidecar says (expected 9, found 2)",
        ),
        (
            document(AMPLITUDE_BAND),
            {"m_tif": tiff(COMPLEX)},
            "the samples of the band amplitude are of type complex64 (expected real)",
        ),
        (
            document(band("phase", "rad"), phase_wrapped=True),
            {"m_tif": tiff(IMAGE * 2)},
            "the phase is said to be wrapped, but spans more than a turn of 6.28319 rad"
            " (expected <= 6.28319, found 10)",
        ),
        (document(band("amplitude", skip_lines=1)), {"m_tif": GOOD}, "m.tif is a TIFF image and has no lines to skip"),
        (
            document(band("amplitude", file="m.csv", page=0)),
            {"m_csv": b"1,2\n"},
            "m.csv is no TIFF image and has no pages",
        ),
        (
            document(band("amplitude", file="m.csv")),
            {"m_csv": b"1,2\n3,x\n"},
            "column 2 of m.csv is no number at line 2 (found x)",
        ),
        (
            document(band("amplitude", file="m.csv")),
            {"m_csv": b"1,2\n3\n"},
            "a line of m.csv has another number of columns than the first at line 2 (expected 2, found 1)",
        ),
        (document(band("amplitude", file="m.csv")), {"m_csv": b"\n\n"}, "m.csv holds no numbers"),
        (
            document(band("amplitude", file="m.csv")),
            {"m_csv": b"1\xff,2\n"},
            "m.csv is not UTF-8 at byte 1",
        ),
        (
            document(AMPLITUDE_BAND),
            {"m_tif": GOOD[:-1]},
            "the file ends within an image at byte 224 (expected 248, found 247)",
        ),
    ],
)
def test_bundles_refused_in_full(tmp_path, described, files, message):
    found = refusal(placed(tmp_path, described, **files)).partition(": b: ")[2]
    assert found == message or found.startswith(message + " at byte ")


def test_images_whose_bytes_are_not_their_size(tmp_path):
    data = bytearray(GOOD)
    for index in range(int.from_bytes(data[8:10], "little")):
        entry = 10 + 12 * index
        if int.from_bytes(data[entry : entry + 2], "little") == 256:
            struct.pack_into("<I", data, entry + 8, 2)
    assert refusal(placed(tmp_path, document(AMPLITUDE_BAND), m_tif=bytes(data))) == (
        "CountMismatch: b: the bytes of page 0 of m.tif are not those of its size (expected 16, found 24)"
    )
    colour = io.BytesIO()
    tifffile.imwrite(colour, np.zeros((4, 5, 3), np.uint8), photometric="rgb", metadata=None)
    assert refusal(placed(tmp_path, document(AMPLITUDE_BAND), m_tif=colour.getvalue())) == (
        "UnsupportedVersion: b: page 0 of m.tif is not one number a pixel"
        " (expected one sample, found 3 samples of 8 bits, format 1)"
    )
    circle = bytearray(GOOD)
    entries = int.from_bytes(circle[8:10], "little")
    struct.pack_into("<I", circle, 10 + 12 * entries, 8)
    assert refusal(placed(tmp_path, document(AMPLITUDE_BAND), m_tif=bytes(circle))) == (
        "CorruptField: b: the directories of the TIFF file go round in a circle at byte 8"
    )


SEEDS = (tiff(AMPLITUDE, PHASE), tiff(AMPLITUDE, PHASE, compression="zlib"), tiff(AMPLITUDE, PHASE, tile=(16, 16)))
SIDECAR = document(band("amplitude", page=0), band("phase", "rad", page=1))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 30),
)
def test_damaged_images_are_refused_or_read_whole(tmp_path_factory, seed, changes, cut):
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    source = placed(tmp_path_factory.mktemp("map"), SIDECAR, m_tif=bytes(data[: len(data) - cut]))
    try:
        raster = one(source)
    except ReaderCrashed:
        raise
    except InstrumentError:
        return
    assert raster.samples.array().size == raster.rows * raster.columns * 2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(alphabet="0123456789.,;-e \n\tna", max_size=60))
def test_any_text_is_a_grid_or_refused(tmp_path_factory, text):
    described = document(band("amplitude", file="m.csv"))
    try:
        raster = one(placed(tmp_path_factory.mktemp("grid"), described, m_csv=text.encode()))
    except ReaderCrashed:
        raise
    except InstrumentError:
        return
    assert raster.values().shape == (1, raster.rows, raster.columns)


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """The first directory of a small little-endian TIFF with another number in one tag."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", changed, 4)
    (count,) = struct.unpack_from("<H", changed, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", changed, entry) == (tag,):
            struct.pack_into("<HII", changed, entry + 2, 4, 1, value)
    return bytes(changed)


def test_images_that_claim_to_be_far_larger_than_their_bytes(tmp_path):
    tiled, packed = (tiff(AMPLITUDE, **options) for options in ({"tile": (16, 16)}, {"compression": "zlib"}))
    assert refusal(placed(tmp_path, document(AMPLITUDE_BAND), m_tif=with_tag(tiled, 257, 1000))) == (
        "CountMismatch: b: the bytes of page 0 of m.tif are not those of its size (expected 20000, found 1024)"
    )
    found = refusal(placed(tmp_path, document(AMPLITUDE_BAND), m_tif=with_tag(packed, 257, 1 << 20)))
    assert found.startswith("ReadingLimit: b: page 0 of m.tif expands too far (expected ")
    assert found.endswith(", found 20971520)")


def test_a_grid_with_decimal_commas(tmp_path):
    described = document(band("amplitude", file="m.csv"), rows=2, columns=2)
    raster = one(placed(tmp_path, described, m_csv=b"1,5;2\n-0,125;4,0e-1\n"))
    assert raster.values()[0].tolist() == [[1.5, 2.0], [-0.125, 0.4]]
    for text in (b"1,500;2\n3;4\n", b"1,5;2.5\n3;4\n"):
        assert "write numbers with a decimal point" in refusal(placed(tmp_path, described, m_csv=text))
