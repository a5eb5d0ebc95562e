"""The safety check: the pixels that would be published, looked at before anything is."""
