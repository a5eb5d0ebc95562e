"""What goes in and out as JSON, one module a noun."""
