"""The graphics cards of this host, as their driver's own program tells them; without torch, which takes seconds."""

import csv
import io
import subprocess

from db.repositories.workers import GraphicsCard

_ASK = (
    "nvidia-smi", "--query-gpu=index,name,memory.total,memory.used,utilization.gpu", "--format=csv,noheader,nounits",
)  # fmt: skip
_FIELDS = 5
_MEBIBYTE = 1 << 20
_PATIENCE_S = 5.0


def read_cards() -> list[GraphicsCard]:
    """Return the cards; none where there is no driver or it does not answer in time."""
    try:
        answer = subprocess.run(_ASK, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_cards(answer.stdout)


def parse_cards(text: str) -> list[GraphicsCard]:
    """Return the cards of the program's lines: index, name, MiB in all, MiB used, percent busy.

    A line that is none is left out; what the driver does not tell (``[N/A]``) is ``None``.
    """
    cards = []
    for fields in csv.reader(io.StringIO(text), skipinitialspace=True):
        if len(fields) != _FIELDS or not fields[0].isdigit() or not fields[2].isdigit():
            continue
        used, busy = (int(field) if field.isdigit() else None for field in fields[3:])
        cards.append(
            GraphicsCard(
                index=int(fields[0]),
                name=fields[1],
                memory_bytes=int(fields[2]) * _MEBIBYTE,
                used_bytes=None if used is None else used * _MEBIBYTE,
                busy_part=None if busy is None else busy / 100,
            )
        )
    return cards
