"""The HTML pages: their data, charts, tables, templates, style and script."""
