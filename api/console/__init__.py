"""``/console``: pages for people who would rather look than read; they call what the REST api calls."""
