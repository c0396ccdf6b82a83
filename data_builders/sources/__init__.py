"""One TOML file and one importer module a source; see docs/adding-a-source.md."""
