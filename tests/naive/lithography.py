"""Rasters and partially coherent images by their definitions, slow and obvious."""

import cmath
import math

import numpy as np
from numpy.typing import NDArray


def covered(x: float, y: float, polygons: list[NDArray[np.float64]]) -> bool:
    """Whether a point is within any of the polygons, by the winding number: angles seen from the point, summed."""
    for polygon in polygons:
        total = 0.0
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            start, stop = math.atan2(y0 - y, x0 - x), math.atan2(y1 - y, x1 - x)
            total += (stop - start + math.pi) % (2 * math.pi) - math.pi
        if abs(total) > math.pi:
            return True
    return False


def cover_by_points(polygons: list[NDArray[np.float64]], columns: int, rows: int, fine: int) -> NDArray[np.float64]:
    """The part of each unit pixel that is covered, by ``fine`` x ``fine`` points in each."""
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            points = [
                covered(column + (i + 0.5) / fine, row + (j + 0.5) / fine, polygons)
                for i in range(fine)
                for j in range(fine)
            ]
            found[row, column] = sum(points) / fine**2
    return found


def box_coefficient(box: tuple[float, float, float, float], k: int, m: int, width: float, height: float) -> complex:
    """Fourier coefficient of a box, each factor an integral of one wave from side to side."""

    def along(low: float, high: float, order: int, period: float) -> complex:
        if order == 0:
            return (high - low) / period
        turn = -2j * math.pi * order
        return (cmath.exp(turn * high / period) - cmath.exp(turn * low / period)) / turn

    left, bottom, right, top = box
    return along(left, right, k, width) * along(bottom, top, m, height)


def abbe_line_image(
    orders: dict[int, complex], period: float, resolution: float, source: list[tuple[float, float, float]], x: float
) -> float:
    """Intensity at ``x`` of a grating in focus: for every source point, the sum of the waves that pass, squared."""
    total = 0.0
    for sx, sy, weight in source:
        field = 0j
        for order, amplitude in orders.items():
            if (order * resolution / period + sx) ** 2 + sy**2 <= 1 + 1e-9:
                field += amplitude * cmath.exp(2j * math.pi * order * x / period)
        total += weight * abs(field) ** 2
    return total


def hopkins_line_image(
    orders: dict[int, complex], period: float, resolution: float, source: list[tuple[float, float, float]], x: float
) -> float:
    """The same by the double sum over pairs of orders with their transmission cross-coefficient."""
    total = 0j
    for first, one in orders.items():
        for second, two in orders.items():
            cross = sum(
                weight
                for sx, sy, weight in source
                if (first * resolution / period + sx) ** 2 + sy**2 <= 1 + 1e-9
                and (second * resolution / period + sx) ** 2 + sy**2 <= 1 + 1e-9
            )
            total += cross * one * two.conjugate() * cmath.exp(2j * math.pi * (first - second) * x / period)
    return total.real


def socs_image(
    pixels: NDArray[np.float64], spectra: NDArray[np.complex128], scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sum of coherent systems by numpy's full transforms: one for each kernel."""
    rows, columns = pixels.shape
    high, wide = (spectra.shape[1] - 1) // 2, (spectra.shape[2] - 1) // 2
    spectrum = np.fft.fft2(pixels)
    total = np.zeros(pixels.shape)
    for kernel, scale in zip(spectra, scales, strict=True):
        passed = np.zeros(pixels.shape, complex)
        for m in range(-high, high + 1):
            for k in range(-wide, wide + 1):
                passed[m % rows, k % columns] = spectrum[m % rows, k % columns] * kernel[m + high, k + wide]
        total += scale * np.abs(np.fft.ifft2(passed)) ** 2
    return total


def partially_coherent_image(
    pixels: NDArray[np.complex128], pixel: float, resolution: float, source: list[tuple[float, float, float]]
) -> NDArray[np.float64]:
    """Abbe in focus on a grid of pixels: numpy's full transforms, one for each source point."""
    rows, columns = pixels.shape
    spectrum = np.fft.fft2(pixels)
    fy = np.fft.fftfreq(rows, pixel)[:, None] * resolution
    fx = np.fft.fftfreq(columns, pixel)[None, :] * resolution
    total = np.zeros(pixels.shape)
    for sx, sy, weight in source:
        passes = (fx + sx) ** 2 + (fy + sy) ** 2 <= 1 + 1e-9
        total += weight * np.abs(np.fft.ifft2(spectrum * passes)) ** 2
    return total
