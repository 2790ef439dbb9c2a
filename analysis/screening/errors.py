"""Why measurements do not allow a screen, as types with the facts in them."""


class ScreeningError(ValueError):
    """The measurements do not allow the screen that was asked for; the message says why and what to do."""


class TooFewParts(ScreeningError):  # noqa: N818
    """There are fewer parts than the method needs."""

    def __init__(self, parts: int, least: int, why: str) -> None:
        super().__init__(f"{parts} parts are too few: {why} needs at least {least}")
        self.parts, self.least = parts, least


class NoSpread(ScreeningError):  # noqa: N818
    """The quartiles are equal: limits about them would have no width, and any other reading would fall out."""

    def __init__(self, parts: int, value: float, at_value: int, side: str = "") -> None:
        super().__init__(
            f"{at_value} of {parts} parts read {value:.9g}, so {side or 'the quartiles'} have no spread and limits "
            "from them no width; the test is constant or too coarse for part average testing"
        )
        self.parts, self.value, self.at_value = parts, value, at_value


class SamePlaceTwice(ScreeningError):  # noqa: N818
    """Two parts of a wafer claim one place: neighbours cannot be told."""

    def __init__(self, column: int, row: int, parts: int) -> None:
        super().__init__(f"{parts} parts of one wafer are at column {column}, row {row}: neighbours cannot be told")
        self.column, self.row = column, row


class Collinear(ScreeningError):  # noqa: N818
    """Most parts lie on a plane of the tests: one test follows from others, and distances are not defined."""

    def __init__(self, tests: int, rank: int) -> None:
        super().__init__(
            f"{tests} tests hold {rank} independent readings: some test follows from the others or is constant; "
            "leave it out"
        )
        self.tests, self.rank = tests, rank
