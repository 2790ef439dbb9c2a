"""What a tester's log holds, whichever of its forms it came in: STDF and ATDF are decoded into this."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class LogRecord:
    """One record that is no test result; ``position`` is its byte offset or line number in the file."""

    position: int
    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class ResultBlock:
    """All records of one kind of test, in the order of the file.

    Attributes:
        kind: ``parametric``, ``multiple``, ``functional`` or ``scan``.
        position, number, head, site, test_flags, parameter_flags: one entry a record.
        definition: one entry a record, its place in ``definitions``.
        definitions: what records say beyond their value, by the specification's field names; what a record leaves
            off is not there.
        elements: values in each record, at least 1.
        values, states: one entry an element; NaN and -1 where there is none.
        extras: further numbers of each record, by column of the vocabulary.
    """

    kind: str
    position: Integers
    number: Integers
    head: Integers
    site: Integers
    test_flags: Integers
    parameter_flags: Integers
    definition: Integers
    definitions: list[dict[str, Any]]
    elements: Integers
    values: Numbers
    states: Integers
    extras: dict[str, Numbers] = field(default_factory=dict)

    def kept(self, keep: NDArray[np.bool_]) -> "ResultBlock":
        """Return the block with those records only where ``keep``, bool ``(records,)``, is true."""
        elements = np.repeat(keep, self.elements)
        return replace(
            self,
            position=self.position[keep],
            number=self.number[keep],
            head=self.head[keep],
            site=self.site[keep],
            test_flags=self.test_flags[keep],
            parameter_flags=self.parameter_flags[keep],
            definition=self.definition[keep],
            elements=self.elements[keep],
            values=self.values[elements],
            states=self.states[elements],
            extras={name: values[keep] for name, values in self.extras.items()},
        )


@dataclass(frozen=True)
class ScanFails:
    """Failing bits of one scan test: equally long lists by column of the vocabulary; ``position`` is the test's."""

    position: int
    columns: Mapping[str, list[Any]]


@dataclass
class TesterLog:
    """A whole log.

    Attributes:
        name: of the file.
        form: what the file says of its own form, verbatim.
        records: all that are no test results, in the order of the file.
        counts: records in the file, by name.
        metadata: further facts for the run's metadata.
        offset_unit: what positions count, ``byte`` or ``line``.
        warnings: doubts, grown while the log is understood.
    """

    name: str
    form: dict[str, Any]
    records: list[LogRecord]
    blocks: list[ResultBlock]
    counts: dict[str, int]
    scan_fails: list[ScanFails] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    offset_unit: str = "byte"
    warnings: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the record that ends a log (MRR) is there."""
        return "MRR" in self.counts

    def of(self, name: str) -> Iterator[LogRecord]:
        """Yield the records called ``name``."""
        return (record for record in self.records if record.name == name)

    def warn_each(self, texts: list[str], shown: int = 5) -> None:
        """Add ``texts`` as warnings, of many only the first ``shown`` and how many more there are."""
        self.warnings += texts[:shown]
        if len(texts) > shown:
            self.warnings.append(f"{texts[shown - 1].partition(':')[0]}: and {len(texts) - shown} more of this kind")
