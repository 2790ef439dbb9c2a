"""Writes STDF records from the public record layout, knowing nothing of the reader."""

import struct
from collections.abc import Sequence


def text(value: str | None) -> bytes:
    """C*n; ``None`` is a text of no bytes."""
    data = (value or "").encode("latin-1")
    return bytes([len(data)]) + data


class StdfWriter:
    """Collects records in one byte order, ``<`` or ``>``."""

    def __init__(self, order: str = "<", version: int = 4, cpu: int | None = None) -> None:
        self.order = order
        self.records: list[bytes] = []
        self.raw(0, 10, bytes([cpu if cpu is not None else (2 if order == "<" else 1), version]))

    def pack(self, codes: str, *values: float) -> bytes:
        return struct.pack(self.order + codes, *values)

    def raw(self, kind: int, sub: int, body: bytes) -> "StdfWriter":
        self.records.append(struct.pack(self.order + "H", len(body)) + bytes([kind, sub]) + body)
        return self

    def data(self) -> bytes:
        return b"".join(self.records)

    def mir(self, lot: str = "L1", part: str = "P1", start: int = 1_700_000_100, burn: int = 65535) -> "StdfWriter":
        body = self.pack("IIB", 1_700_000_000, start, 3) + b"P" + b" " + b" " + self.pack("H", burn) + b" "
        for value in (lot, part, "node", "tester", "prog", "r1", "s1", "op", "", "", "FT1", "25C"):
            body += text(value)
        return self.raw(1, 10, body)

    def mrr(self) -> "StdfWriter":
        return self.raw(1, 20, self.pack("I", 1_700_000_900) + b" " + text("") + text("done"))

    def pcr(self, head: int, site: int, parts: int, good: int = 4294967295) -> "StdfWriter":
        return self.raw(1, 30, self.pack("BBIIIII", head, site, parts, 4294967295, 4294967295, good, 4294967295))

    def bin_record(
        self, sub: int, head: int, site: int, code: int, count: int, verdict: str, name: str
    ) -> "StdfWriter":
        """HBR (sub 40) or SBR (sub 50)."""
        return self.raw(1, sub, self.pack("BBHI", head, site, code, count) + verdict.encode() + text(name))

    def pmr(self, index: int, name: str, head: int = 1, site: int = 1) -> "StdfWriter":
        body = self.pack("HH", index, 0) + text(f"ch{index}") + text(name) + text(name.lower())
        return self.raw(1, 60, body + self.pack("BB", head, site))

    def pgr(self, index: int, name: str, pins: Sequence[int]) -> "StdfWriter":
        return self.raw(1, 62, self.pack("H", index) + text(name) + self.pack(f"H{len(pins)}H", len(pins), *pins))

    def sdr(self, group: int, sites: Sequence[int], head: int = 1) -> "StdfWriter":
        body = bytes([head, group, len(sites), *sites]) + text("handler") + text("H-7")
        return self.raw(1, 80, body)

    def wir(self, wafer: str, group: int = 255, head: int = 1) -> "StdfWriter":
        return self.raw(2, 10, self.pack("BBI", head, group, 1_700_000_200) + text(wafer))

    def wrr(self, wafer: str, parts: int, good: int = 4294967295, group: int = 255, head: int = 1) -> "StdfWriter":
        missing = 4294967295
        body = self.pack("BBIIIIII", head, group, 1_700_000_800, parts, missing, missing, good, missing)
        return self.raw(2, 20, body + text(wafer))

    def pir(self, head: int = 1, site: int = 1) -> "StdfWriter":
        return self.raw(5, 10, bytes([head, site]))

    def prr(
        self,
        head: int = 1,
        site: int = 1,
        flags: int = 0,
        tests: int = 0,
        bins: tuple[int, int] = (1, 1),
        place: tuple[int, int] = (-32768, -32768),
        name: str = "",
    ) -> "StdfWriter":
        body = self.pack("BBBHHHhhI", head, site, flags, tests, *bins, *place, 1500)
        return self.raw(5, 20, body + text(name) + text("") + b"\x00")

    def tsr(
        self, number: int, executed: int, failed: int, name: str = "", head: int = 255, kind: str = "P"
    ) -> "StdfWriter":
        body = bytes([head, 255]) + kind.encode() + self.pack("IIII", number, executed, failed, 4294967295)
        return self.raw(10, 30, body + text(name))

    def ptr(
        self,
        number: int,
        value: float,
        *,
        head: int = 1,
        site: int = 1,
        flags: tuple[int, int] = (0, 0xC0),
        name: str | None = None,
        alarm: str = "",
        options: int | None = None,
        scales: tuple[int, int, int] = (0, 0, 0),
        limits: tuple[float, float] | None = None,
        unit: str = "V",
        specs: tuple[float, float] | None = None,
    ) -> "StdfWriter":
        """Ends after RESULT unless ``name`` is given, after ALARM_ID unless ``options`` are, …"""
        body = self.pack("IBBBBf", number, head, site, *flags, value)
        if name is not None:
            body += text(name) + text(alarm)
        if options is not None:
            body += self.pack("Bbbb", options, *scales)
            if limits is not None:
                body += self.pack("ff", *limits) + text(unit) + text("%9.3f") + text("%8.2f") + text("%7.1f")
            if specs is not None:
                body += self.pack("ff", *specs)
        return self.raw(15, 10, body)

    def mpr(
        self,
        number: int,
        values: Sequence[float],
        states: Sequence[int] = (),
        *,
        head: int = 1,
        site: int = 1,
        flags: tuple[int, int] = (0, 0xC0),
        pins: Sequence[int] | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> "StdfWriter":
        """Ends after the results unless ``pins`` are given."""
        nibbles = [*states, 0] if len(states) % 2 else [*states]
        body = self.pack("IBBBBHH", number, head, site, *flags, len(states), len(values))
        body += bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
        body += self.pack(f"{len(values)}f", *values)
        if pins is not None:
            body += text("leak") + text("") + self.pack("Bbbbffff", 0, 9, 9, 9, *limits, 0.5, 0.25)
            body += self.pack(f"{len(pins)}H", *pins) + text("A") + text("V")
        return self.raw(15, 15, body)

    def ftr(
        self,
        number: int,
        *,
        head: int = 1,
        site: int = 1,
        flags: int = 0,
        options: int | None = None,
        cycle: int = 0,
        failing: int = 0,
        states: Sequence[tuple[int, int]] = (),
        fail_bits: str = "",
        vector: str = "",
        name: str = "",
    ) -> "StdfWriter":
        """Ends after TEST_FLG unless ``options`` are given. ``fail_bits`` has the first bit first."""
        body = self.pack("IBBB", number, head, site, flags)
        if options is not None:
            count = len(states)
            body += self.pack("BIIIIiihHH", options, cycle, 7, 8, failing, -5, -6, -1, count, 0)
            body += self.pack(f"{count}H", *(pin for pin, _ in states))
            nibbles = [state for _, state in states] + [0] * (count % 2)
            body += bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
            body += self.pack("H", len(fail_bits))
            for start in range(0, len(fail_bits), 8):
                body += bytes([sum(1 << place for place, bit in enumerate(fail_bits[start : start + 8]) if bit == "1")])
            body += text(vector) + text("ts1") + text("op") + text(name)
        return self.raw(15, 20, body)

    def dtr(self, value: str) -> "StdfWriter":
        return self.raw(50, 30, text(value))

    def gdr(self, *values: tuple[int, str, float | str]) -> "StdfWriter":
        """Each value is its type code, its ``struct`` code or ``s`` for text, and itself."""
        body = self.pack("H", len(values))
        for kind, code, value in values:
            body += bytes([kind]) + (text(str(value)) if code == "s" else self.pack(code, value))
        return self.raw(50, 10, body)

    def scan(self, number: int, more: bool, logged: int, cycles: Sequence[int], pins: Sequence[int]) -> "StdfWriter":
        """STR of V4-2007 with cycle offsets of 4 bytes and pins of 2."""
        body = self.pack("BIBBHB", int(more), number, 1, 1, 1, 0x80)
        body += text("P") + text(f"scan{number}") + text("") + text("") + text("")
        body += self.pack("BB", 0, 0) + self.pack("HH", 0, 0)
        body += self.pack("QIIQIHH", 1000, 9, logged, 100, 0, 0, 0)
        body += bytes([4, 2, 0, 0, 0, 0, 0, 0, 0]) + self.pack("H", 0)
        body += self.pack(f"H{len(cycles)}I", len(cycles), *cycles) + self.pack(f"H{len(pins)}H", len(pins), *pins)
        return self.raw(15, 30, body + self.pack("HHHHHHHHHH", *[0] * 10))


def sample(order: str = "<") -> StdfWriter:
    """Two sites, one wafer, three insertions, every kind of test; all totals agree."""
    file = StdfWriter(order).mir().sdr(1, [1, 2])
    file.pmr(1, "VDD").pmr(2, "OUT").pgr(32768, "ALL", [1, 2]).wir("W1", group=1)
    file.pir(site=1).pir(site=2)
    file.ptr(100, 0.5, site=1, name="vout", options=0x0E, limits=(0.25, 0.75))
    file.ptr(100, 0.625, site=2)
    file.mpr(200, [0.25, 0.5], [1, 4], site=1, pins=[1, 2])
    file.mpr(200, [0.75, 2.0], [1, 4], site=2, flags=(0x80, 0xC8))
    file.ftr(300, site=1, options=0xF6, cycle=77, failing=1, flags=0x80, states=[(2, 3)], fail_bits="001", vector="v")
    file.ftr(300, site=2)
    file.prr(site=1, flags=0x08, tests=3, bins=(2, 20), place=(4, -7), name="A")
    file.prr(site=2, flags=0x08, tests=3, bins=(2, 20), place=(5, -7), name="B")
    file.pir(site=1).ptr(100, 0.5, site=1).prr(site=1, flags=0x02, tests=1, place=(4, -7), name="A2")
    file.wrr("W1", 3, 1, group=1)
    file.tsr(100, 3, 0, "vout").tsr(200, 2, 1, "leak", kind="M").tsr(300, 2, 1, "func", kind="F")
    file.bin_record(40, 255, 255, 1, 1, "P", "good").bin_record(40, 255, 255, 2, 2, "F", "bad")
    file.pcr(255, 255, 3, 1)
    return file.dtr("hello").gdr((1, "B", 7), (7, "f", 0.5), (10, "s", "x")).mrr()
