"""Test logs, wafer maps and stress tables, small and each another one."""

from benchmarks.mixed_files.made import Made, Maker, single
from tests.instruments.electrical import stdf_writer, wafer_map_writer, wmap_files

TESTS = 3


def stdf(number: int) -> Made:
    """A few parts with three parametric tests each, in either byte order."""
    parts = 1 + number % 5
    log = stdf_writer.StdfWriter("<>"[number % 2]).mir(lot=f"L{number}")
    for part in range(parts):
        log.pir()
        for test in range(TESTS):
            if part:
                log.ptr(100 + test, part + test / 8)
            else:
                log.ptr(100 + test, 0.5, name=f"test_{test}", options=0x0E, limits=(0.25, 0.75))
        log.prr(tests=TESTS, place=(part, number % 30), name=f"P{part}")
    log.bin_record(40, 255, 255, 1, parts, "P", "good").pcr(255, 255, parts, parts)
    content = log.mrr().data()
    return single(f"lot_{number:06d}.stdf", content, _log_counts(parts))


def _log_counts(parts: int) -> dict[str, tuple[int, int]]:
    return {
        "test_run": (1, 1),
        "test_result": (1, parts * TESTS),
        "test_item": (1, TESTS),
        "test_part": (1, parts),
        "bin_summary": (1, 2),
    }


def atdf(number: int) -> Made:
    """The same in text."""
    parts = 1 + number % 5
    lines = [
        "FAR:A|4|2|U",
        f"MIR:L{number}|P1|prog|node|tester|22:13:20 14-NOV-2023|22:15:00 14-NOV-2023|op|P|3|s1|FT1",
    ]
    for part in range(parts):
        lines.append("PIR:1|1")
        for test in range(TESTS):
            named = f"|test_{test}|||V|0.25|0.75|%9.3f|%8.2f|%7.1f" if not part else ""
            lines.append(f"PTR:{100 + test}|1|1|0.5|P|{named}")
        lines.append(f"PRR:1|1|P{part}|{TESTS}|P|1|1|{part}|{number % 30}|||1500")
    lines += [f"HBR:||1|{parts}|P|good", f"PCR:||{parts}||{parts}|", "MRR:22:28:20 14-NOV-2023||done"]
    return single(f"lot_{number:06d}.atdf", "\n".join(lines) + "\n", _log_counts(parts))


def _picture(number: int) -> tuple[str, ...]:
    return (*wafer_map_writer.PICTURE, *("12111",) * (number % 4))


def _dies(picture: tuple[str, ...]) -> int:
    return sum(len(row) - row.count(".") for row in picture)


def e142(number: int) -> Made:
    """A wafer of four to seven rows of dies."""
    picture = _picture(number)
    content = wafer_map_writer.e142(wafer_map_writer.e142_body(picture=picture), rows=len(picture))
    content = content.replace(" L7 ", f" L{number} ")
    counts = {"wafer_map": (1, _dies(picture))}
    return single(f"map_{number:06d}.xml", content, counts, says_its_length=True)


def g85(number: int) -> Made:
    """The same, older."""
    picture = _picture(number)
    content = wafer_map_writer.g85(picture, rows=len(picture)).replace('LotId="L7"', f'LotId="L{number}"')
    counts = {"wafer_map": (1, _dies(picture))}
    return single(f"g85_{number:06d}.xml", content, counts, says_its_length=True)


def sinf(number: int) -> Made:
    """The same, oldest."""
    rows = 3 + number % 4
    content = wafer_map_writer.SINF.replace("LOT:L7", f"LOT:L{number}").replace("ROWCT:3", f"ROWCT:{rows}")
    content += "RowData:01 01 01 01\n" * (rows - 3)
    counts = {"wafer_map": (1, 8 + 4 * (rows - 3))}
    return single(f"map_{number:06d}.sinf", content, counts, says_its_length=True)


def wmap(number: int) -> Made:
    """A map of eight dies."""
    content = wmap_files.SAMPLE.replace("LOTMEA L7", f"LOTMEA L{number}")
    return single(f"map_{number:06d}.wmap", content, {"wafer_map": (1, 8)}, says_its_length=True)


def readouts(number: int) -> Made:
    """Some devices, read once."""
    count = 1 + number % 20
    head = f"# devices: {count}\ndevice_id,time [min],parameter,value,unit,low_limit,high_limit,result,stress\n"
    rows = "".join(f"D{number}-{k},2880,vth,{0.45 + k / 1000:.4f},V,0.4,0.5,pass,HTOL\n" for k in range(count))
    return single(f"readouts_{number:06d}.csv", head + rows, {"readout": (1, count)})


def lifetimes(number: int) -> Made:
    """Some failures and many survivors."""
    count = 1 + number % 20
    head = f"# rows: {count + 1}\n# devices: {count + 76}\nstatus,time_h,lower_h,upper_h,count,lot_id,temperature_c\n"
    rows = "".join(f"exact,{12.5 + k},,,1,L{number},125\n" for k in range(count))
    counts = {"lifetime": (1, count + 1)}
    return single(f"lifetimes_{number:06d}.csv", f"{head}{rows}right,1000,,,76,L{number},125\n", counts)


MAKERS: dict[str, Maker] = {
    "stdf": stdf,
    "atdf": atdf,
    "e142_map": e142,
    "g85_map": g85,
    "sinf_map": sinf,
    "wmap_map": wmap,
    "readouts": readouts,
    "lifetimes": lifetimes,
}
