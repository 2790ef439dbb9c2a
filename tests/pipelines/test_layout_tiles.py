"""Tiles of a layout as files that any viewer reads."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from instruments.errors import CorruptField
from instruments.mask.layout_process import LayoutProcess
from services.cli import app
from services.pictures import encode_png
from services.pipelines.mask.layout_tiles import draw_tiles, find_pyramid
from tests.instruments.mask import layout_writer as write


def decode(png: bytes) -> np.ndarray:
    """A greyscale PNG without filters, chunk by chunk."""
    place, data, shape = 8, b"", (0, 0)
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0]
        if kind == b"IHDR":
            columns, rows, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 0)
            shape = (rows, columns)
        data += body if kind == b"IDAT" else b""
        place += 12 + length
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape[0], shape[1] + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def test_a_picture_comes_back() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (7, 5)).astype(np.uint8)
    np.testing.assert_array_equal(decode(encode_png(grey)), grey)


def test_tiles_are_written_where_the_index_says(tmp_path: Path) -> None:
    path = tmp_path / "a.gds"
    path.write_bytes(
        write.library(write.structure("TOP", write.box(1, 0, 0, 1000, 1000), write.box(4, 0, 0, 8000, 8000)))
    )
    told = CliRunner().invoke(app, ["mask", "tiles", str(path), str(tmp_path / "t"), "--levels", "3", "--json"])
    index = json.loads(told.stdout)
    assert index["layers"] == [{"layer": 1, "datatype": 0, "tiles": 3}, {"layer": 4, "datatype": 0, "tiles": 21}]
    assert index["pitch_nm"] == pytest.approx([31.25, 15.625, 7.8125])
    tile = decode((tmp_path / "t" / "1_0" / "2" / "0" / "3.png").read_bytes())
    assert (tile[128:, :128].min(), tile[:128].max(), tile[:, 128:].max()) == (255, 0, 0)
    assert not (tmp_path / "t" / "1_0" / "2" / "3").exists()
    with LayoutProcess(path) as engine:
        with pytest.raises(CorruptField, match=r"expected at most 20000 tiles, found 9 levels, 87381 tiles"):
            list(draw_tiles(engine, find_pyramid(engine), [(1, 0)], 9))
        with pytest.raises(CorruptField, match=r"no such top cell, or it is empty \(expected TOP, found X\)"):
            find_pyramid(engine, "X")
