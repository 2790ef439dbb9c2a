"""Which adapter reads a file: all are asked, none is believed blindly.

Adapters join through the entry-point group ``faultlight.instruments``, those of other packages on equal terms. A
plug-in that cannot be loaded is set aside with its reason and harms no other.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import TypeVar

from instruments.adapter import Adapter, Confidence, HeaderAdapter, Sniff, Source
from instruments.description import FileDescription, Reach, RecordDescription, describe_record
from instruments.errors import (
    AmbiguousFormat,
    InstrumentError,
    NotThisFormat,
    ReaderCrashed,
    UnknownFormat,
    is_machine_trouble,
)
from instruments.records import ReadResult

GROUP = "faultlight.instruments"
Answered = TypeVar("Answered")


@dataclass(frozen=True)
class Failure:
    """An entry point that gave no adapter, and why."""

    entry_point: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What one adapter said about a file."""

    adapter: Adapter
    sniff: Sniff


class Registry:
    """The adapters of this installation, by name."""

    def __init__(self, adapters: Iterable[Adapter], failures: Iterable[Failure] = ()) -> None:
        self.adapters: dict[str, Adapter] = {}
        self.failures = list(failures)
        for adapter in adapters:
            if adapter.name in self.adapters:
                self.failures.append(Failure(adapter.name, "the name is taken by another adapter"))
            else:
                self.adapters[adapter.name] = adapter

    @staticmethod
    def load(*, strict: bool = False) -> "Registry":
        """Return the adapters of every entry point, in the order of their names.

        Raises:
            RuntimeError: ``strict`` and a plug-in is broken (for checks; the service goes on without it).
        """
        adapters: list[Adapter] = []
        failures: list[Failure] = []
        for point in sorted(entry_points(group=GROUP), key=lambda item: item.name):
            try:
                adapters.append(point.load()())
            except Exception as error:
                failures.append(Failure(point.name, f"{type(error).__name__}: {error}"))
        registry = Registry(adapters, failures)
        if strict and registry.failures:
            raise RuntimeError(f"broken adapters: {registry.failures}")
        return registry

    def named(self, name: str) -> Adapter:
        """Return the adapter ``name``; raises UnknownFormat, listing the names there are."""
        try:
            return self.adapters[name]
        except KeyError:
            known = ", ".join(sorted(self.adapters))
            raise UnknownFormat(f"there is no adapter {name!r}; there are {known}", reasons=[]) from None

    def versions(self) -> dict[str, str]:
        """Return each adapter's version by its name."""
        return {name: adapter.version for name, adapter in sorted(self.adapters.items())}

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of all names and versions: it changes when any file might be read differently."""
        listing = "\n".join(f"{name} {version}" for name, version in self.versions().items())
        return hashlib.sha256(listing.encode()).hexdigest()

    def ask(self, source: Source) -> list[Answer]:
        """Return every adapter's answer, the surest first, then by name; one that raises counts as a no."""
        answers = [Answer(adapter, _sniff(adapter, source)) for _, adapter in sorted(self.adapters.items())]
        return sorted(answers, key=lambda answer: -answer.sniff.confidence)


def _sniff(adapter: Adapter, source: Source) -> Sniff:
    try:
        return adapter.sniff(source)
    except Exception as error:
        return Sniff(Confidence.NO, f"could not look at the file: {type(error).__name__}: {error}")


def read_source(source: Source, registry: Registry, adapter_name: str | None = None) -> ReadResult:
    """Read ``source`` with the adapter that is sure of it, or with the named one whatever the sniffing says.

    Two adapters that are both certain are an error. Below certainty, the adapters of the highest level all try, and
    exactly one must succeed; when each says that the file is of another format, the next level tries.

    Raises:
        UnknownFormat: no adapter recognises the file.
        AmbiguousFormat: more than one does.
        InstrumentError: the adapter refuses the file. ``error.reasons`` has every adapter's word.
    """
    return _answer(_read, source, registry, adapter_name)


def describe_source(source: Source, registry: Registry, adapter_name: str | None = None) -> FileDescription:
    """Say what ``source`` holds without its samples, chosen and refused as :func:`read_source` does.

    An adapter of ``Reach.HEADER`` looks at no sample; one of ``Reach.WALK`` reads the file, and every record says so.

    Raises:
        InstrumentError: as :func:`read_source`.
    """
    return _answer(_describe, source, registry, adapter_name)


def _answer(
    action: Callable[[Adapter, Source], Answered], source: Source, registry: Registry, adapter_name: str | None
) -> Answered:
    """Return what the named or the surest adapter makes of ``source``; a refusal has every adapter's word."""
    if adapter_name is not None:
        return action(registry.named(adapter_name), source)
    answers = registry.ask(source)
    sniffed = {answer.adapter.name: answer.sniff.reason for answer in answers}
    reasons = dict(sniffed)
    try:
        return _try_surest(action, source, answers, reasons)
    except InstrumentError as error:
        versions = registry.versions()
        listing = [
            {"adapter": name, "version": versions[name], "reason": text, "verdict": _verdict(text, sniffed[name])}
            for name, text in reasons.items()
        ]
        error.reasons = sorted(listing, key=lambda item: item["adapter"])
        raise


def _verdict(reason: str, sniffed: str) -> str:
    """Return whether an adapter has tried to read the file and refused it, or only looked at its beginning."""
    return "sniffed" if reason == sniffed else "refused"


def _try_surest(
    action: Callable[[Adapter, Source], Answered], source: Source, answers: list[Answer], reasons: dict[str, str]
) -> Answered:
    certain = [answer.adapter.name for answer in answers if answer.sniff.confidence is Confidence.CERTAIN]
    if len(certain) > 1:
        raise AmbiguousFormat(f"the adapters {' and '.join(certain)} are both certain of it", file=source.name)
    for level in (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE):
        candidates = [answer.adapter for answer in answers if answer.sniff.confidence is level]
        results: dict[str, Answered] = {}
        refusals: list[InstrumentError] = []
        for adapter in candidates:
            try:
                results[adapter.name] = action(adapter, source)
            except InstrumentError as error:
                reasons[adapter.name] = str(error)
                refusals.append(error)
        if len(results) > 1:
            names = " and ".join(results)
            raise AmbiguousFormat(f"the adapters {names} can both read it; name the format", file=source.name)
        if results:
            return next(iter(results.values()))
        serious = [error for error in refusals if not isinstance(error, NotThisFormat)]
        if serious:
            raise serious[0]
    raise UnknownFormat("no adapter recognises this file", reasons=[], file=source.name)


def _read(adapter: Adapter, source: Source) -> ReadResult:
    """Read with one adapter."""
    format_name, records = _guarded(adapter.read, adapter, source)
    warnings = tuple(dict.fromkeys(text for record in records for text in record.warnings))
    return ReadResult(source.name, format_name, adapter.name, adapter.version, records, warnings)


def _describe(adapter: Adapter, source: Source) -> FileDescription:
    """Describe with one adapter: by its header, or by a reading."""
    action = adapter.describe if isinstance(adapter, HeaderAdapter) else partial(_walk, adapter)
    format_name, records = _guarded(action, adapter, source)
    return FileDescription(source.name, format_name, adapter.name, adapter.version, records)


def _walk(adapter: Adapter, source: Source) -> tuple[str, Iterable[RecordDescription]]:
    format_name, records = adapter.read(source)
    return format_name, (describe_record(record, Reach.WALK) for record in records)


def _guarded(
    action: Callable[[Source], tuple[str, Iterable[Answered]]], adapter: Adapter, source: Source
) -> tuple[str, tuple[Answered, ...]]:
    """Return what an adapter's ``action`` gives; whatever it raises becomes an InstrumentError that names the file."""
    try:
        format_name, items = action(source)
        records = tuple(items)
    except InstrumentError as error:
        error.file = error.file or source.name
        raise
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of a Rust extension is no Exception
        if is_machine_trouble(error):
            raise
        message = f"the reader {adapter.name} failed: {type(error).__name__}: {error}"
        raise ReaderCrashed(message, file=source.name) from error
    if not records:
        raise NotThisFormat("the file holds no record", file=source.name)
    return format_name, records
