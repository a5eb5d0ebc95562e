"""What both sides agree on: settings, tables, the life of a job, ports, and the duties of the clerk."""
