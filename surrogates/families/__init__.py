"""Families of surrogates, one module each."""
