"""Networks as the files that engines load, written directly from the layer table."""
