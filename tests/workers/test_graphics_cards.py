"""Graphics cards as the driver's own program tells them."""

import subprocess
from typing import Any

import pytest

from services.workers.graphics_cards import parse_cards, read_cards

TOLD = """0, NVIDIA H200, 143771, 1202, 37
1, Tesla V100, with a comma, 1, 2, 3
2, GRID A100, 40960, [N/A], [N/A]
No devices were found
"""


def test_cards_are_read_and_other_lines_are_left_out() -> None:
    first, second = parse_cards(TOLD)
    assert (first.index, first.name, first.memory_bytes) == (0, "NVIDIA H200", 143771 << 20)
    assert (first.used_bytes, first.busy_part) == (1202 << 20, 0.37)
    assert (second.index, second.used_bytes, second.busy_part) == (2, None, None)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.TimeoutExpired("nvidia-smi", 5), subprocess.CalledProcessError(9, "x")]
)
def test_without_a_driver_there_are_none(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert read_cards() == []
