"""Versions of the analyses, importable without the analyses: they are part of job keys."""

LOCALIZATION_VERSION = "2"
"""Of :mod:`services.pipelines.localization`; raised whenever the same input may give another answer."""
