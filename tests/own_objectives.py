"""Objectives that tests name as MODULE:FUNCTION."""

from __future__ import annotations


def per_joule(found):
    """Accuracy in % for each mJ."""
    return found.accuracy / found["energy"]
