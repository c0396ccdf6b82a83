"""Predictors: evaluate shipped surrogates from arrays. Nothing here trains."""
