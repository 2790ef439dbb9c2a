"""How much a file holds, counted in the most naive way that can be, apart from the adapters and their libraries.

Each function gets a file's bytes after an adapter has read it, and the read records' counts; it returns what it expects
and what was found, or ``None`` where so simple a count cannot tell.
"""

import codecs
import gzip
import re
import struct
from collections.abc import Callable, Mapping, Sequence

from instruments.records import Netlist, Record, Table, Waveform

Counted = tuple[int, int] | None
Files = Mapping[str, bytes]
COMMENT = (b"#", b"//")


def samples(records: Sequence[Record]) -> int:
    return sum(record.samples.count for record in records if isinstance(record, Waveform))


def rows_of(records: Sequence[Record], kind: str) -> int:
    return sum(record.row_count for record in records if isinstance(record, Table) and record.kind == kind)


def lines_of(data: bytes) -> list[bytes]:
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [line for line in text.split(b"\n") if line.strip(b" \t,")]


def lecroy(files: Files, records: Sequence[Record]) -> Counted:
    """What is left of the file when all arrays but the samples are taken away; up to 4 bytes may follow.

    Of an acquisition that was stopped, the points that it says are valid.
    """
    data = files[""]
    start = data.index(b"WAVEDESC")
    order = "<" if data[start + 34] == 1 else ">"
    width = 1 + struct.unpack_from(order + "h", data, start + 32)[0]
    newer = data[start + 23 : start + 26] in (b"2_2", b"2_3")
    arrays, samples_are = (10, 6) if newer else (5, 3)
    lengths = list(struct.unpack_from(f"{order}{arrays}i", data, start + 36))
    del lengths[samples_are]
    left = len(data) - start - sum(lengths)
    found = samples(records)
    first, last = struct.unpack_from(order + "2i", data, start + 124) if newer else (0, 0)
    if last and 0 <= first <= last < left // width:
        return last - first + 1, found
    return (found, found) if 0 <= left - found * width <= 4 else (left // width, found)


def isf(files: Files, records: Sequence[Record]) -> Counted:
    data = files[""]
    places = re.finditer(rb":?CURVE?[ \t]+", data, re.IGNORECASE)
    found = next((place for place in places if data.count(b'"', 0, place.start()) % 2 == 0), None)
    if found is None:
        return None
    rest = data[found.end() :]
    if not rest.startswith(b"#"):
        return rest.count(b",") + 1, samples(records)
    width = int(re.findall(rb"BYT_NR?\s+(\d+)", data[: found.start()], re.IGNORECASE)[-1])
    body = rest[2 + int(rest[1:2]) :]
    return int(rest[2 : 2 + int(rest[1:2])]) // width, samples(records) if len(body) >= samples(records) * width else -1


def container(files: Files, records: Sequence[Record]) -> Counted:
    """All bytes that are in no header are samples."""
    data = files[""]
    if data[:4] in (b"AG03", b"RG03"):
        return None
    place, total = 12, 0
    for _ in range(struct.unpack_from("<I", data, 8)[0]):
        size, _, buffers = struct.unpack_from("<3I", data, place)
        place += size
        for _ in range(buffers):
            size, _, width, length = struct.unpack_from("<IHHI", data, place)
            place += size + length
            total += length // width
    return (total, samples(records)) if place == len(data) else (-1, samples(records))


def rigol(files: Files, records: Sequence[Record]) -> Counted:
    if files[""][:4] != b"\xa5\xa5\x00\x00":
        return None
    return len(files[""]) - 276, samples(records)


def photometer(files: Files, records: Sequence[Record]) -> Counted:
    return len(files[""].partition(b"\n#DATA\n")[2]) // 2, samples(records)


def delimited(files: Files, records: Sequence[Record]) -> Counted:
    """The lines from the last one on that is not like a row: without a digit first, or with other cells."""
    data = files[""]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16").encode()
    lines = lines_of(data)
    count = 0
    for line in reversed(lines):
        if not re.match(rb"\s*\"?[-+.]?\d", line):
            break
        count += 1
    waves = [record for record in records if isinstance(record, Waveform)]
    each = {record.samples.count for record in waves}
    if waves[0].vendor_metadata["writer"] == "keysight infiniium":
        return count, waves[0].samples.count // len(waves[0].segments)
    return (count, each.pop()) if len(each) == 1 and count == len(lines) - 1 else None


def table(skipped: int) -> Callable[[Files, Sequence[Record]], Counted]:
    def count(files: Files, records: Sequence[Record]) -> Counted:
        if files[""].startswith(b"PAR1") or b'"' in files[""]:
            return None
        lines = [
            line for line in lines_of(files[""]) if not line.lstrip(b"\t\x0b\x0c\x1c\x1d\x1e\x1f \xa0").startswith(b"#")
        ]
        found = [_rows(record) for record in records]
        titled = not re.match(rb"\s*[-+.\d]", lines[0]) or found == [len(lines) - skipped]
        return len(lines) - skipped * titled, sum(found)

    return count


def _rows(record: Record) -> int:
    if isinstance(record, Table):
        return record.row_count
    for name in ("bits", "cycles", "nets"):
        if hasattr(record, name):
            return len(getattr(record, name))
    return -1


def bench(files: Files, records: Sequence[Record]) -> Counted:
    code = b"\n".join(line.partition(b"#")[0] for line in re.split(rb"[\r\n]", files[""]))
    return code.count(b"="), sum(len(record.gates) for record in records if isinstance(record, Netlist))


def stdf(files: Files, records: Sequence[Record]) -> Counted:
    """Each part that begins is a row of parts."""
    data = files[""]
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    order, place, parts = ("<" if data[:1] == b"\x02" else ">"), 0, 0
    while place < len(data):
        length, kind, sub = struct.unpack_from(order + "HBB", data, place)
        parts += (kind, sub) == (5, 10)
        place += 4 + length
        if (kind, sub) == (1, 20):  # it ends the log; zeros may follow
            break
    return parts, rows_of(records, "test_part")


def atdf(files: Files, records: Sequence[Record]) -> Counted:
    return sum(line.startswith(b"PIR:") for line in lines_of(files[""])), rows_of(records, "test_part")


def gdsii(files: Files, records: Sequence[Record]) -> Counted:
    data, place, cells = files[""], 0, 0
    if data.startswith(b"%SEMI"):
        return None
    while place + 4 <= len(data):
        length, kind = struct.unpack_from(">HB", data, place)
        cells += kind == 5
        if kind == 4 or length < 4:
            break
        place += length
    return cells, rows_of(records, "layout_cell")


def klarf(files: Files, records: Sequence[Record]) -> Counted:
    """The numbers in all lists of defects, over the columns of the specification, where there are no images."""
    text = files[""].removeprefix(b"\xef\xbb\xbf")
    specs = re.findall(rb"DefectRecordSpec\s+(\d+)\s", text, re.IGNORECASE)
    if not text.lstrip().lower().startswith(b"fileversion") or len(set(specs)) != 1 or b"IMAGE" in text or b'"' in text:
        return None
    lists = re.findall(rb"DefectList\b([^;]*;(?:\s*[-+]?\d[^;]*;)*)", text, re.IGNORECASE)
    # Blanks beyond ASCII, such as a no-break space, part words too.
    words = sum(len(block.replace(b";", b" ").decode("latin-1").split()) for block in lists)
    return words // int(specs[0]), rows_of(records, "mask_defect")


def clip(files: Files, records: Sequence[Record]) -> Counted:
    """Lines that begin with a shape's word, where no comment reaches over one; blanks are those of any code page."""
    if b"/*" in re.sub(rb"/\*[^\r\n]*?\*/", b"", files[""]):
        return None
    code = re.sub(rb"/\*[^\r\n]*?\*/", b" ", files[""])
    return len(re.findall(rb"(?:^|[\r\n])[\s\x1c-\x1f\xa0]*(?:RECT|PGON)\b", code)), rows_of(records, "layout_polygon")


def devices(files: Files, records: Sequence[Record]) -> Counted:
    """The codes of a list of single devices that are not the code for none, in one map without comments."""
    data = files[""]
    null = re.findall(rb'NullBin="([^"&]*)"', data)
    if b"<!--" in data or b"CDATA" in data or b"&" in data or data.count(b"<BinCodeMap") != 1 or len(null) != 1:
        return None
    codes = re.findall(rb'<BinCode [^<>]*X="[^<>]*>([^<]*)</BinCode>', data)
    if not codes or null[0].strip() != null[0]:
        return None
    return sum(code.strip() != null[0] for code in codes), rows_of(records, "wafer_map")


def json_lines(key: bytes) -> Callable[[Files, Sequence[Record]], Counted]:
    def count(files: Files, records: Sequence[Record]) -> Counted:
        lines = lines_of(files[""])
        if not lines[0].startswith(b"{"):
            return None
        found = sum(record.row_count for record in records if isinstance(record, Table))
        return sum(key in line for line in lines), found

    return count


def sdf(files: Files, records: Sequence[Record]) -> Counted:
    """Every delay begins with its word behind a parenthesis; comments that are no lines are not counted here."""
    if b"/*" in files[""]:
        return None
    code = b"\n".join(re.sub(rb'"[^"]*"', b"", line).split(b"//")[0] for line in lines_of(files[""]))
    words = rb"\(\s*(?:IOPATH|INTERCONNECT|PORT|NETDELAY|DEVICE)\b"
    return len(re.findall(words, code, re.IGNORECASE)), rows_of(records, "delay_arc")


COUNTS: dict[str, Callable[[Files, Sequence[Record]], Counted]] = {
    "lecroy_trc": lecroy,
    "tektronix_isf": isf,
    "float_container": container,
    "oscilloscope": rigol,
    "photometer": photometer,
    "delimited": delimited,
    "pattern_table": table(1),
    "fail_table": table(1),
    "placement_table": table(1),
    "readouts": table(1),
    "lifetimes": table(1),
    "unit_evidence": table(1),
    "mask_metrology": table(1),
    "bench_netlist": bench,
    "standard_delay": sdf,
    "stdf": stdf,
    "atdf": atdf,
    "layout": gdsii,
    "klarf": klarf,
    "glp": clip,
}
