"""Tables: the Parquet schema in one place, and the column store derived from the tables."""
