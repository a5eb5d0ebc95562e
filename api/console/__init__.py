"""``/console``: the web console; its pages call the same code as the REST API."""
