"""The second count: the tester's own totals against what the file holds, each difference with both numbers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from instruments.electrical.tester_log import Integers, TesterLog
from instruments.electrical.tester_parts import ALL, Part, Wafer

MISSING = 4294967295
"""A count that the tester did not make."""
_FAILED, _NO_VERDICT = 0x08, 0x10
"""Bits of PART_FLG."""
_NOT_EXECUTED, _WITHOUT_VERDICT, _TEST_FAILED = 0x10, 0x40, 0x80
"""Bits of TEST_FLG."""
_UNKNOWN_BIN = 65535


def count_of(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a count, ``None`` when it is not there."""
    value = fields.get(name)
    return None if value is None or value == MISSING else int(value)


def bin_of(part: Part, name: str) -> int | None:
    """Return the part's ``HARD_BIN`` or ``SOFT_BIN``, ``None`` when it has none."""
    value = part.fields.get(name)
    return None if value is None or value == _UNKNOWN_BIN else int(value)


def verdict_of(part: Part) -> tuple[bool, bool]:
    """Return whether the part passed, and whether it failed; neither when there is no verdict."""
    flags = part.fields.get("PART_FLG")
    if not part.finished or flags is None or flags & _NO_VERDICT:
        return False, False
    return not flags & _FAILED, bool(flags & _FAILED)


def scope_of(fields: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return head and site that a total is of, ``None`` for all."""
    head, site = int(fields.get("HEAD_NUM", ALL)), int(fields.get("SITE_NUM", ALL))
    return (None, None) if head == ALL else (head, None if site == ALL else site)


def in_scope(part: Part, scope: tuple[int | None, int | None]) -> bool:
    """Say whether ``part`` was tested on that head and site."""
    return scope[0] in (None, part.head) and scope[1] in (None, part.site)


def check_totals(log: TesterLog, parts: list[Part], wafers: list[Wafer]) -> None:
    """Add a warning for each total that is neither that of all parts nor that without those tested again."""
    _check_part_counts(log, parts)
    _check_bins(log, parts)
    _check_wafers(log, parts, wafers)


def _differs(declared: int | None, found: list[Part]) -> bool:
    return declared is not None and declared not in (len(found), sum(not part.superseded for part in found))


def _where(scope: tuple[int | None, int | None]) -> str:
    head, site = scope
    if head is None:
        return "all sites"
    return f"head {head}" if site is None else f"head {head} site {site}"


def _check_part_counts(log: TesterLog, parts: list[Part]) -> None:
    finished = [part for part in parts if part.finished]
    texts = []
    for record in log.of("PCR"):
        scope = scope_of(record.fields)
        found = [part for part in finished if in_scope(part, scope)]
        good = [part for part in found if verdict_of(part)[0]]
        for name, label, members in (("PART_CNT", "parts", found), ("GOOD_CNT", "good parts", good)):
            declared = count_of(record.fields, name)
            if _differs(declared, members):
                texts.append(f"part count: {_where(scope)} declares {declared} {label}, the file has {len(members)}")
    log.warn_each(texts)


def _check_bins(log: TesterLog, parts: list[Part]) -> None:
    for summary, number, counted, field in (
        ("HBR", "HBIN_NUM", "HBIN_CNT", "HARD_BIN"),
        ("SBR", "SBIN_NUM", "SBIN_CNT", "SOFT_BIN"),
    ):
        tally = tally_bins(parts, field)
        kept = tally_bins([part for part in parts if not part.superseded], field)
        texts, listed, scopes = [], set(), set()
        label = field.replace("_", " ").lower()
        for record in log.of(summary):
            scope, code = scope_of(record.fields), record.fields.get(number)
            scopes.add(scope)
            listed.add((scope, code))
            declared = count_of(record.fields, counted)
            found = (tally[*scope, code], kept[*scope, code])
            if declared is not None and declared not in found:
                texts.append(f"{label}: {_where(scope)} declares {declared} in bin {code}, the file has {found[0]}")
        for (head, site, code), count in sorted(tally.items(), key=str):
            if (head, site) in scopes and ((head, site), code) not in listed and kept[head, site, code]:
                texts.append(f"{label}: {_where((head, site))} declares no bin {code}, the file has {count}")
        log.warn_each(texts)


def tally_bins(parts: list[Part], field: str) -> Counter[tuple[int | None, int | None, int | None]]:
    """Return parts by (head, site, bin) and by all wider scopes; ``field`` is ``HARD_BIN`` or ``SOFT_BIN``."""
    tally: Counter[tuple[int | None, int | None, int | None]] = Counter()
    for part in parts:
        code = bin_of(part, field) if part.finished else None
        if code is not None:
            tally.update(((part.head, part.site, code), (part.head, None, code), (None, None, code)))
    return tally


def _check_wafers(log: TesterLog, parts: list[Part], wafers: list[Wafer]) -> None:
    members: dict[int, list[Part]] = {}
    for part in parts:
        if part.finished:
            members.setdefault(part.wafer, []).append(part)
    texts = []
    for index, wafer in enumerate(wafers):
        found = members.get(index, [])
        good = [part for part in found if verdict_of(part)[0]]
        name = wafer.result.get("WAFER_ID") or wafer.start.get("WAFER_ID") or index + 1
        for field, label, counted in (("PART_CNT", "parts", found), ("GOOD_CNT", "good parts", good)):
            declared = count_of(wafer.result, field)
            if _differs(declared, counted):
                texts.append(f"wafer count: wafer {name} declares {declared} {label}, the file has {len(counted)}")
    log.warn_each(texts)


def check_executions(log: TesterLog, parts: list[Part], results_of_part: Integers) -> None:
    """Compare executions of each test (TSR) and tests of each part (PRR) with the file; differences are summed up.

    ``results_of_part`` is an int64 array with the records of each part. Testers may log a sample only, so that fewer
    records than executions are common.
    """
    executed, failed = _tally(log, 0), _tally(log, _TEST_FAILED)
    for field, label, found in (("EXEC_CNT", "executions", executed), ("FAIL_CNT", "failures", failed)):
        declared = {number: value for number, value in summaries(log, field).items() if value is not None}
        wrong = sorted(number for number, value in declared.items() if value != found[number])
        if wrong:
            log.warnings.append(
                f"{label}: {len(wrong)} of {len(declared)} tests have another number in the summary than in the file, "
                f"test {wrong[0]} first ({declared[wrong[0]]} declared, {found[wrong[0]]} in the file)"
            )
    tests = [
        (int(part.fields["NUM_TEST"]), int(results_of_part[index]), index)
        for index, part in enumerate(parts)
        if part.fields.get("NUM_TEST") is not None
    ]
    differing = [entry for entry in tests if entry[0] != entry[1]]
    if differing:
        value, count, index = differing[0]
        log.warnings.append(
            f"tests of a part: {len(differing)} of {len(tests)} parts have another number of records than they say, "
            f"part {index} first ({value} declared, {count} in the file)"
        )


def _tally(log: TesterLog, flag: int) -> Counter[int]:
    """Return by test number the records that were executed, with a verdict and ``flag`` if there is one."""
    tally: Counter[int] = Counter()
    for block in log.blocks:
        chosen = block.test_flags & _NOT_EXECUTED == 0
        if flag:
            chosen &= (block.test_flags & _WITHOUT_VERDICT == 0) & (block.test_flags & flag != 0)
        numbers, counts = np.unique(block.number[chosen], return_counts=True)
        tally.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
    return tally


def summaries(log: TesterLog, field: str) -> dict[int, int | None]:
    """Return a count of the test summaries (TSR) by test number.

    It is that of all heads, or else the sum over heads; of a head, that of all its sites, or else the sum over them.
    """
    whole: dict[int, int | None] = {}
    heads: dict[int, dict[int, int | None]] = {}
    sites: dict[int, dict[int, int | None]] = {}
    for record in log.of("TSR"):
        number, value = record.fields.get("TEST_NUM"), count_of(record.fields, field)
        if number is None:
            continue
        head, site = scope_of(record.fields)
        if head is None:
            whole[int(number)] = value
        elif site is None:
            heads.setdefault(int(number), {})[head] = value
        else:
            of_test = sites.setdefault(int(number), {})
            before = of_test.get(head, 0)
            of_test[head] = None if value is None or before is None else before + value
    sums: dict[int, int | None] = {}
    for number in {**sites, **heads}:
        values = {**sites.get(number, {}), **heads.get(number, {})}.values()
        known = [value for value in values if value is not None]
        sums[number] = sum(known) if len(known) == len(values) else None
    return sums | whole
