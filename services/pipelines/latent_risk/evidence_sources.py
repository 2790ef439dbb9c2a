"""Where the values of units come from, as tables of unit evidence say it: the columns ``<modality>_source``."""

from collections.abc import Sequence
from typing import Any

from instruments.electrical.unit_evidence import SOURCE_SUFFIX
from services.pipelines.latent_risk.source_cell import read_source
from services.pipelines.table_source import SourceTable


class EvidenceSources:
    """What tables, one after another, say of the sources of each unit's modalities."""

    def __init__(self, sources: Sequence[SourceTable]) -> None:
        self._tables: list[tuple[int, dict[str, list[str]]]] = []
        start = 0
        for source in sources:
            columns = {
                name.removesuffix(SOURCE_SUFFIX): source.texts(name)
                for name in source.table.columns
                if name.endswith(SOURCE_SUFFIX) and source.table.columns[name].dtype.kind not in "fiub"
            }
            self._tables.append((start, columns))
            start += source.table.row_count

    def of(self, row: int) -> dict[str, dict[str, Any]]:
        """Return by modality what is said of unit ``row`` of all tables; nothing where nothing is said."""
        start, columns = next(each for each in reversed(self._tables) if each[0] <= row)
        return {name: read_source(texts[row - start]) for name, texts in columns.items() if texts[row - start]}

    def results(self) -> list[str]:
        """Return the ids of the stored results that values come from."""
        texts = {text for _, columns in self._tables for each in columns.values() for text in each}
        found = (read_source(text).get("result") for text in texts)
        return sorted({str(each) for each in found if each is not None})
