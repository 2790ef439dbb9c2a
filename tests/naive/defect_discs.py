"""What a disc does to shapes, pixel by pixel."""

import numpy as np
from scipy import ndimage


def touches_and_severs(
    middle: tuple[float, float], radius: float, boxes: list[tuple[float, float, float, float]], pixel: float
) -> tuple[bool, bool]:
    """Whether a disc reaches a shape of boxes, and covers it from edge to edge along an axis through its middle."""
    low = np.array([min(box[0] for box in boxes), min(box[1] for box in boxes)]) - radius
    high = np.array([max(box[2] for box in boxes), max(box[3] for box in boxes)]) + radius
    if not ((low < middle) & (middle < high)).all():
        return False, False
    x = np.arange(low[0], high[0], pixel) + pixel / 2
    y = np.arange(low[1], high[1], pixel) + pixel / 2
    shape = np.zeros((len(y), len(x)), bool)
    for left, bottom, right, top in boxes:
        shape |= ((x >= left) & (x <= right))[None] & ((y >= bottom) & (y <= top))[:, None]
    away = np.hypot(x[None] - middle[0], y[:, None] - middle[1])
    touched = bool((shape & (away <= radius)).any())
    severed = False
    row = min(int((middle[1] - low[1]) / pixel), len(y) - 1)
    column = min(int((middle[0] - low[0]) / pixel), len(x) - 1)
    for line, axis, centre in ((shape[row], x, middle[0]), (shape[:, column], y, middle[1])):
        labels, count = ndimage.label(line)
        for run in range(1, count + 1):
            inside = axis[labels == run]
            severed |= bool(inside.min() >= centre - radius and inside.max() <= centre + radius)
    return touched, severed
