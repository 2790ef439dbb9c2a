"""The configuration's reference is true, and settings come from the environment alone."""

from pathlib import Path

import pytest

from services.configuration_reference import render
from services.settings import Settings

REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference/configuration.md"


def test_reference_is_what_the_settings_say() -> None:
    """`make docs` writes the file; a changed setting without it fails here."""
    assert REFERENCE.read_text() == render()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with the prefix is read, and a secret does not show when printed."""
    monkeypatch.setenv("FAULTLIGHT_API_PORT", "1234")
    monkeypatch.setenv("FAULTLIGHT_DATABASE_URL", "postgresql+psycopg://user:hidden@host/name")
    settings = Settings()
    assert settings.api_port == 1234
    assert "hidden" not in repr(settings)


def test_every_setting_is_described() -> None:
    """No variable without a sentence."""
    assert all(field.description for field in Settings.model_fields.values())
