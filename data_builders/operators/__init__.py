"""Readers of published records of single layers: tidy rows, no columns of a search space."""
