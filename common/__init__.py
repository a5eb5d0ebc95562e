"""Code shared by the API and the workers: settings, tables, jobs, campaigns, storage and the clerk."""
