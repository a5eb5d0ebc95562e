"""What was used and what it costs: by owner, by day, and for the operator."""
