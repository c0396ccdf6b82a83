"""Oracles: other people's simulators and compilers, asked about single layers."""
