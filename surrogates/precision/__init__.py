"""Accuracy lost to low precision: fits, their held-out errors, and the page; ``python -m surrogates.precision``."""
