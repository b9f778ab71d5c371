"""Files on disk: whole or not at all, Parquet with schema and provenance."""
