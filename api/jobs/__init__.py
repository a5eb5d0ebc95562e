"""Jobs and styles: validate, resolve, submit and return image requests (``/v1/jobs``, ``/v1/styles``)."""
