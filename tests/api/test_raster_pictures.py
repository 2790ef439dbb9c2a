"""Rasters as grey pictures: ends of the scale, complex bands, blocks of pixels, what is not finite."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.blobs import BlobMissing, BlobStore
from services.api.raster_pictures import MOST_SIDE, NoSuchBand, draw_raster
from tests.pipelines.test_layout_tiles import decode


def store(folder: Path, planes: np.ndarray[Any, Any], bands: list[list[str]], **values: Any) -> tuple[BlobStore, Any]:
    blobs = BlobStore.local(folder / "blobs")
    data, key = planes.tobytes(), f"records/{uuid.uuid4()}"
    blobs.put_bytes(key, b"\xaa" * 5 + data)
    row = {
        "blob_key": key, "byte_offset": 5, "byte_length": len(data), "dtype": planes.dtype.str, "gain": 1.0,
        "offset": 0.0, "row_count": planes.shape[1], "column_count": planes.shape[2], "bands": bands,
    }  # fmt: skip
    return blobs, row | values


def test_the_ends_are_the_values_of_black_and_white(tmp_path: Path) -> None:
    planes = np.array([[[0, 10], [20, 100]]], "<i2")
    blobs, row = store(tmp_path, planes, [["grey", ""]], gain=0.5, offset=1.0)
    picture = draw_raster(blobs, row, "grey")
    assert (picture.black, picture.white, picture.block) == (1.0, 51.0, 1)
    np.testing.assert_array_equal(decode(picture.png), np.round(planes[0] / 100 * 255))
    fixed = draw_raster(blobs, row, "grey", (11.0, 31.0))
    np.testing.assert_array_equal(decode(fixed.png), [[0, 0], [0, 255]])


def test_the_amplitude_of_a_complex_map_and_a_hole_in_it(tmp_path: Path) -> None:
    planes = np.array([[[3.0, np.nan]], [[4.0, 0.0]]], "<f4")
    blobs, row = store(tmp_path, planes, [["real", "V"], ["imaginary", "V"]], gain=2.0)
    picture = draw_raster(blobs, row, "amplitude")
    assert (picture.black, picture.white) == (10.0, 10.0)
    assert decode(picture.png)[0, 1] == 0
    with pytest.raises(NoSuchBand, match="real, imaginary, not phase"):
        draw_raster(blobs, row, "phase")


def test_a_large_raster_is_shown_by_the_means_of_blocks(tmp_path: Path) -> None:
    planes = np.random.default_rng(1).normal(size=(1, 5, 2 * MOST_SIDE + 1)).astype("<f4")
    blobs, row = store(tmp_path, planes, [["grey", ""]])
    picture = draw_raster(blobs, row, "grey")
    assert picture.block == 3
    naive = [
        [planes[0, y : y + 3, x : x + 3].astype(float).mean() for x in range(0, planes.shape[2], 3)] for y in (0, 3)
    ]
    expected = (np.array(naive) - picture.black) / (picture.white - picture.black) * 255
    np.testing.assert_allclose(decode(picture.png), expected, atol=0.51)


def test_bytes_that_are_gone_are_told(tmp_path: Path) -> None:
    blobs, row = store(tmp_path, np.zeros((1, 2, 2), "<i2"), [["grey", ""]])
    with pytest.raises(BlobMissing):
        draw_raster(blobs, row | {"byte_length": 80}, "grey")
