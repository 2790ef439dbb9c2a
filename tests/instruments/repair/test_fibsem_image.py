"""FIB and SEM images: pixels, pitch and beam of three makers, and what is unknown or refused."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    Truncated,
    UnsupportedVersion,
)
from instruments.records import Raster
from instruments.repair.fibsem_image import FibsemImageAdapter
from tests.instruments.repair import tiff_writer as write
from tests.instruments.repair.sources import read_all, source_of, written

ADAPTER = FibsemImageAdapter()
PIXELS = write.PIXELS


def read_one(tmp_path, data: bytes) -> Raster:
    _, (raster,) = read_all(ADAPTER, written(tmp_path, "image.tif", data))
    return raster


def refusal(tmp_path, data: bytes) -> tuple[type[InstrumentError], str]:
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, written(tmp_path, "image.tif", data))
    return type(caught.value), str(caught.value)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "format_name", "pitch_m", "voltage_v", "bar"),
    [
        ("FEI-Helios-Ebeam-8bits.tif", "fei-tiff", 3.3724e-06, 5000, 29),
        ("zeiss_example_sem.tif", "zeiss-tiff", 5.933e-07, 5000, 0),
        ("tescan_example_sem1.tif", "tescan-tiff", 2.5012e-06, 10000, 120),
    ],
)
def test_real_images(shared_data, file, format_name, pitch_m, voltage_v, bar):
    path = shared_data / "formats" / "sem_tiff" / file
    name, (raster,) = read_all(ADAPTER, source_of(path))
    assert name == format_name
    np.testing.assert_array_equal(raster.values()[0], tifffile.imread(path))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (pytest.approx(pitch_m), pytest.approx(pitch_m))
    assert raster.vendor_metadata["beam"]["voltage_v"] == voltage_v
    assert raster.vendor_metadata["beam"]["column"] == "electron"
    assert raster.vendor_metadata["data_bar_rows"] == bar
    assert raster.warnings == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_fei_image(tmp_path, order, dtype):
    pixels = PIXELS.astype(dtype)
    raster = read_one(tmp_path, write.tiff(pixels, {34682: write.fei()}, order=order))
    np.testing.assert_array_equal(raster.values()[0], pixels)
    assert (raster.rows, raster.columns, raster.kind, raster.bands[0].name) == (6, 6, "image", "grey")
    assert raster.samples.dtype == np.dtype(dtype).newbyteorder("<")
    assert [block.size for block in raster.samples.blocks()] == [24, 12]
    assert (raster.minimum, raster.maximum) == (0, 245)
    assert (raster.pitch_x_m, raster.pitch_y_m) == (4e-9, 5e-9)
    assert raster.vendor_metadata["beam"] == {
        "column": "ion",
        "voltage_v": 30000,
        "current_a": 2.4e-11,
        "working_distance_m": 0.0165,
        "field_width_m": 2.4e-8,
        "dwell_s": 3e-7,
        "stage_rotation_rad": 0.5,
    }
    assert raster.vendor_metadata["tags"]["Stage"]["StageX"] == "notafloat"
    assert raster.vendor_metadata["data_bar_rows"] == 2
    assert raster.warnings == ()


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"PixelWidth": "notafloat"}, "PixelWidth is 'notafloat'; the pixel pitch is unknown"),
        ({"PixelWidth": ""}, "there is no PixelWidth"),
        ({"PixelWidth": "0"}, "PixelWidth is '0'; the pixel pitch is unknown"),
    ],
)
def test_a_pitch_that_is_no_number_is_unknown(tmp_path, changes, warning):
    raster = read_one(tmp_path, write.tiff(PIXELS, {34682: write.fei(**changes)}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (None, 5e-9)
    assert raster.warnings == (warning,)


def test_a_pitch_that_contradicts_the_field_is_doubted(tmp_path):
    raster = read_one(tmp_path, write.tiff(PIXELS, {34682: write.fei(HorFieldsize="9e-8")}))
    assert raster.warnings == ("the pixel pitch does not agree with the width of the field",)


MEMENTO = """<?xml version="1.0"?><MementoItem><Name>Image</Name><MementoItemSection>
<item><key><string>PixelSize</string></key><value><MementoItem><Name>PixelSize</Name><MementoItemSection>
<item><value><MementoItem><Name>Width</Name><MementoItemUnit>MementoItemUnitMeter</MementoItemUnit>
<anyType>1.6E-08</anyType></MementoItem></value></item>
<item><value><MementoItem><Name>Height</Name><MementoItemUnit>MementoItemUnit{unit}</MementoItemUnit>
<anyType>1.7E-08</anyType></MementoItem></value></item></MementoItemSection></MementoItem></value></item>
</MementoItemSection></MementoItem>"""


def test_fei_metadata_as_xml(tmp_path):
    raster = read_one(tmp_path, write.tiff(PIXELS, {34682: MEMENTO.format(unit="Meter").encode()}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (1.6e-8, 1.7e-8)
    assert raster.warnings == ()
    raster = read_one(tmp_path, write.tiff(PIXELS, {34682: MEMENTO.format(unit="Scalar").encode()}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (1.6e-8, None)
    assert raster.warnings == ("the XML gives no pixel size in metres; the pixel pitch is unknown",)
    text = (
        '<Metadata><Optics><AccelerationVoltage unit="kV">30</AccelerationVoltage></Optics><BinaryResult>'
        '<PixelSize><X unit="nm">4</X><Y unit="m">5e-9</Y></PixelSize></BinaryResult></Metadata>'
    )
    raster = read_one(tmp_path, write.tiff(PIXELS, {34683: text.encode()}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (4e-9, 5e-9)
    assert raster.vendor_metadata["beam"]["voltage_v"] == 30000


def test_a_zeiss_image_has_the_pitch_of_the_image_not_of_the_monitor(tmp_path):
    raster = read_one(tmp_path, write.tiff(PIXELS, {34118: write.zeiss(write.ZEISS)}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (5e-10, 5e-10)
    assert raster.vendor_metadata["beam"] == {
        "column": "electron",
        "field_width_m": 3e-9,
        "voltage_v": 5000,
        "current_a": 2e-10,
        "working_distance_m": 0.0052,
        "stage_tilt_rad": pytest.approx(np.pi / 2),
    }
    assert raster.vendor_metadata["tags"]["entries"]["AP_TIME"] == "Time :8:40:47"
    assert raster.warnings == ()


def test_what_zeiss_leaves_out_is_unknown(tmp_path):
    entries = {key: line for key, line in write.ZEISS.items() if key != "AP_IMAGE_PIXEL_SIZE"}
    entries["AP_WD"] = "WD = 5.2 furlong"
    raster = read_one(tmp_path, write.tiff(PIXELS, {34118: write.zeiss(entries, declared=99)}))
    assert raster.pitch_x_m is None
    assert "working_distance_m" not in raster.vendor_metadata["beam"]
    assert raster.warnings == (
        "the metadata hold 9 entries and say 99",
        "there is no image pixel size; the pixel pitch is unknown",
        "AP_WD is '5.2 furlong', whose unit is not understood",
    )


def test_tescan_images_of_both_beams(tmp_path):
    for fib, column in ((False, "electron"), (True, "ion")):
        raster = read_one(tmp_path, write.tiff(PIXELS, {50431: write.tescan(fib=fib)}))
        assert (raster.pitch_x_m, raster.pitch_y_m) == (2.5e-9, 2.5e-9)
        assert raster.vendor_metadata["beam"] == {
            "column": column,
            "voltage_v": 10000,
            "current_a": 2.64e-10,
            "working_distance_m": 0.01325,
        }
        assert raster.vendor_metadata["data_bar_rows"] == 2
        assert raster.vendor_metadata["tags"]["MAIN"]["Device"] == "MIRA3"
        assert raster.warnings == ()


def test_tescan_sections_as_text(tmp_path):
    text = b"[MAIN]\r\nPixelSizeX=1e-9\r\nPixelSizeY=2e-9\r\n[SEM]\r\nHV=5000\r\n"
    raster = read_one(tmp_path, write.tiff(PIXELS, {50431: text}))
    assert (raster.pitch_x_m, raster.pitch_y_m) == (1e-9, 2e-9)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_compressed_and_coloured_images(tmp_path, compression):
    path = tmp_path / "c.tif"
    extra = [(34682, "s", 0, write.fei().decode(), True)]
    tifffile.imwrite(path, PIXELS, compression=compression, extratags=extra)
    _, (raster,) = read_all(ADAPTER, source_of(path))
    np.testing.assert_array_equal(raster.values()[0], PIXELS)
    coloured = np.stack([PIXELS, PIXELS + 1, PIXELS + 2], axis=-1)
    tifffile.imwrite(path, coloured, photometric="rgb", extratags=extra)
    _, (raster,) = read_all(ADAPTER, source_of(path))
    assert [band.name for band in raster.bands] == ["red", "green", "blue"]
    np.testing.assert_array_equal(raster.values(), np.moveaxis(coloured, -1, 0))


def test_several_images_and_one_of_nobody(tmp_path):
    path = tmp_path / "many.tif"
    with tifffile.TiffWriter(path) as writer:
        for shift in range(2):
            extra = [(34682, "s", 0, write.fei().decode(), True)]
            writer.write(PIXELS + shift, extratags=extra, contiguous=False)
        writer.write(PIXELS, contiguous=False)
    _, rasters = read_all(ADAPTER, source_of(path))
    assert [raster.name for raster in rasters] == ["many", "many 2"]
    assert rasters[1].values()[0, 0, 0] == 1
    assert rasters[0].warnings == ("1 images have no maker's tag and were not read",)


GOOD = write.sample()


def with_offsets_as(kind: int) -> bytes:
    """The image, the type of whose entry 273, the strips' offsets, is another."""
    return GOOD.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 273, kind))


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (with_offsets_as(11), CorruptField, "the offsets and lengths of the image are no counts of bytes"),
        (with_offsets_as(6), CorruptField, "the offsets and lengths of the image are no counts of bytes"),
        (
            write.tiff(PIXELS, {34682: write.fei()}, changes={279: [24, 11]}),
            CountMismatch,
            "the strips do not hold as many bytes as the image has (expected 36, found 35)",
        ),
        (
            GOOD[:-5],
            Truncated,
            f"the file ends inside the image at byte {len(GOOD) - 12} (expected {len(GOOD)}, found {len(GOOD) - 5})",
        ),
        (
            write.tiff(PIXELS, {34682: write.fei()}, changes={257: [7]}),
            CountMismatch,
            "the strips do not hold as many bytes as the image has (expected 42, found 36)",
        ),
        (
            write.tiff(PIXELS, {34682: write.fei()}, changes={258: [12]}),
            UnsupportedVersion,
            "images with such samples are not read (expected 8, 16, 32 or 64 bits, found 12)",
        ),
        (
            write.tiff(PIXELS, {270: b"just a picture"}),
            NotThisFormat,
            "the TIFF file has no tag of FEI, Zeiss or TESCAN",
        ),
        (b"II+\x00", NotThisFormat, "it is no TIFF file"),
        (
            write.tiff(PIXELS, {50431: write.tescan()[:-6]}),
            CorruptField,
            "the blocks of the TESCAN tag do not end",
        ),
        (
            write.tiff(PIXELS, {50431: struct.pack("<IH", 500, 2) + b"abc"}),
            CorruptField,
            "a block of the TESCAN tag is longer than the tag (expected 5, found 500)",
        ),
        (
            write.tiff(PIXELS, {34682: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'}),
            CorruptField,
            "the XML has a document type or entities, which are not read",
        ),
        (
            write.tiff(PIXELS, {34682: write.fei()}, changes={259: [5]}),
            UnsupportedVersion,
            None,
        ),
    ],
)
def test_refusals(tmp_path, data, kind, message):
    found, said = refusal(tmp_path, data)
    assert found is kind, said
    if message is None:
        assert said.startswith("image.tif: the image does not expand from LZW: ")
    else:
        assert said == f"image.tif: {message}"


def test_a_directory_that_does_not_count_its_bytes_is_refused(tmp_path):
    where = GOOD.index(struct.pack("<HHI", 279, 4, 2))
    damaged = GOOD[:where] + struct.pack("<H", 65000) + GOOD[where + 2 :]
    assert refusal(tmp_path, damaged) == (
        CorruptField,
        "image.tif: the directory does not say where the image lies and how long it is",
    )


def test_what_the_library_complains_of_is_a_doubt(tmp_path, capfd):
    where = GOOD.index(struct.pack("<HHI", 262, 3, 1))
    raster = read_one(tmp_path, GOOD[:where] + struct.pack("<HH", 262, 99) + GOOD[where + 4 :])
    (warning,) = raster.warnings
    assert warning.startswith("the TIFF library complains: <TiffTag.fromfile> raised TiffFileError(")
    assert capfd.readouterr().err == ""


def test_bytes_after_the_last_part_are_a_doubt(tmp_path):
    assert read_one(tmp_path, GOOD + b"abc").warnings == ("3 bytes after the last part of the file were ignored",)


def test_values_in_a_palette_are_a_doubt(tmp_path):
    path = tmp_path / "p.tif"
    table = np.zeros((3, 256), np.uint16)
    extra = [(34682, "s", 0, write.fei().decode(), True)]
    tifffile.imwrite(path, PIXELS, photometric="palette", colormap=table, extratags=extra)
    _, (raster,) = read_all(ADAPTER, source_of(path))
    assert raster.warnings == ("the values are numbers of colours in a palette",)


@pytest.mark.parametrize(
    ("data", "confidence"),
    [
        (GOOD, Confidence.CERTAIN),
        (write.tiff(PIXELS, {34118: write.zeiss(write.ZEISS)}), Confidence.CERTAIN),
        (write.tiff(PIXELS, {50431: write.tescan()}, order=">"), Confidence.CERTAIN),
        (write.tiff(PIXELS, {270: b"just a picture"}), Confidence.NO),
        (b"II*\x00" + struct.pack("<I", 1 << 20), Confidence.POSSIBLE),
        (b"II*\x00", Confidence.POSSIBLE),
        (b"time,value\n", Confidence.NO),
        (b"", Confidence.NO),
    ],
)
def test_it_knows_its_own(tmp_path, data, confidence):
    assert ADAPTER.sniff(written(tmp_path, "x", data)).confidence is confidence


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_images_are_read_or_refused(tmp_path_factory, data):
    original = data.draw(
        st.sampled_from(
            [GOOD, write.tiff(PIXELS, {34118: write.zeiss(write.ZEISS)}), write.tiff(PIXELS, {50431: write.tescan()})]
        )
    )
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        _, rasters = read_all(ADAPTER, written(folder, "x.tif", bytes(damaged)))
    except InstrumentError as refused:
        rasters = []
        message = str(refused)
    else:
        message = "x.tif: read"
    assert message.startswith("x.tif: ")
    assert all(raster.samples.array().size == raster.rows * raster.columns * len(raster.bands) for raster in rasters)
