"""Names on a drawing: none covers another or leaves the drawing, whatever crowd they belong to."""

import numpy as np

from services.web.map_labels import LabelPlacer, place_all

SIZE = 2.0


def boxes(labels: list[tuple[str, float, float]]) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of each, as wide as the placer takes letters to be."""
    return [(x, y - 0.8 * SIZE, x + 0.62 * SIZE * len(text), y + 0.25 * SIZE) for text, x, y in labels]


def test_a_crowd_of_marks_has_names_that_can_be_read() -> None:
    numbers = np.random.default_rng(5)
    for _ in range(20):
        marks = [(f"net_{k}", *numbers.uniform(80, 99, 2).tolist()) for k in range(8)]
        placed = place_all(LabelPlacer(100, 100), marks, SIZE)
        assert len(placed) >= 6
        found = boxes([(label.text, label.x, label.y) for label, _, _ in placed])
        for k, (left, top, right, bottom) in enumerate(found):
            assert left >= 0
            assert top >= 0
            assert right <= 100
            assert bottom <= 100
            for other in found[:k]:
                apart = left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
                assert apart


def test_a_name_alone_stands_beside_its_mark_and_one_without_room_is_left_out() -> None:
    label = LabelPlacer(100, 100).place("alone", 50, 50, SIZE)
    assert label is not None
    assert not label.leader
    assert abs(label.x - 50) < SIZE
    assert LabelPlacer(3, 3).place("much too long", 1, 1, SIZE) is None


def test_a_name_covers_no_mark_that_is_to_stay_free() -> None:
    placer = LabelPlacer(100, 100)
    placer.keep_free(52, 48, 1)
    label = placer.place("net", 50, 50, SIZE)
    assert label is not None
    left, top, right, bottom = boxes([(label.text, label.x, label.y)])[0]
    assert left >= 53 or right <= 51 or top >= 49 or bottom <= 47
