"""Jobs: from the resolved request to the last move of the row."""
