"""The reference of the vocabularies is what the vocabularies are."""

from pathlib import Path

from instruments.vocabulary_reference import render

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "vocabularies.md"


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == render(), "run make docs"


def test_every_column_is_explained() -> None:
    text = render()
    for kind in ("mask_defect", "metrology_site", "layout_cell", "layout_layer", "repair_step"):
        assert f"## {kind}\n" in text
    assert "| `fluence_j_cm2` | number | J/cm2 | energy of a laser pulse by area |  |" in text
    assert "`pulse_energy`" in text
