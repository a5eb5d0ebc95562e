"""Readers of recipient files: CSV, JSON, XLSX and plain text become rows."""
