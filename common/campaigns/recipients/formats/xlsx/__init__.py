"""Reads recipients from Excel workbooks, cell by cell as Excel shows them."""
