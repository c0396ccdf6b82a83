"""Training of the surrogates that ship: folds, models, scorecards, and the tables they fill."""

from __future__ import annotations

#: Name of the data that ships. A changed value needs a new one.
RELEASE = "2026.11.6"
