"""Journals of the SECS host as tables of events, alarms, traces and messages."""

from collections.abc import Iterable

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import InstrumentError
from instruments.records import Record
from instruments.secs.equipment_map import read_map
from instruments.secs.journal_lines import SCHEMA, Heading, begins_journal, read_journal
from instruments.secs.messages import MessageReader, Rows
from instruments.secs.vocabulary import EQUIPMENT_ALARM, EQUIPMENT_EVENT, EQUIPMENT_MESSAGE, EQUIPMENT_TRACE
from instruments.vocabulary import Remarks, Vocabulary


class SecsJournalAdapter:
    """Reads a segment of the journal that the SECS host keeps of an equipment's messages.

    The list of all messages is always there; events, alarms and traces where there are any. The second count is the
    journal's own: its last line has the number of messages and the checksum, and their numbers have no gap.
    """

    name = "secs_journal"
    version = "1"
    formats = ("secs-journal",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look at the first line of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is no journal of messages")
        if begins_journal(source.head):
            return Sniff(Confidence.CERTAIN, "its first line is the heading of a journal of SECS messages")
        return Sniff(Confidence.NO, f"its first line does not say {SCHEMA}")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the tables of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion: and why.
        """
        try:
            with source.path.open("rb") as file:
                heading, messages = read_journal(file)
                reader = MessageReader(read_map(heading.map_document))
                for message in messages:
                    reader.add(message)
        except InstrumentError as error:
            error.file = source.name
            raise
        return "secs-journal", list(_make_tables(heading, reader))


def _make_tables(heading: Heading, reader: MessageReader) -> Iterable[Record]:
    metadata = {
        "journal": heading.journal,
        "equipment": heading.equipment,
        "segment": heading.segment,
        "first_message": heading.first,
        "map": heading.map_document,
    }
    warnings = [f"{doubt} ({count} messages)" for doubt, count in sorted(reader.doubts.items())]
    if heading.map_document is None:
        warnings.append("the journal carries no configuration: ids have no names and values no units")
    tables: tuple[tuple[Vocabulary, Rows, str], ...] = (
        (EQUIPMENT_MESSAGE, reader.messages, "messages"),
        (EQUIPMENT_EVENT, reader.events, "events"),
        (EQUIPMENT_ALARM, reader.alarms, "alarms"),
        (EQUIPMENT_TRACE, reader.traces, "traces"),
    )
    for vocabulary, rows, name in tables:
        if rows.count or vocabulary is EQUIPMENT_MESSAGE:
            columns = rows.columns or {column.name: [] for column in vocabulary.columns}
            doubts = tuple(warnings) if vocabulary is EQUIPMENT_MESSAGE else ()
            yield vocabulary.make_table(f"{heading.equipment} {name}", columns, Remarks(metadata, doubts))
