"""What the api keeps in memory while it runs, and the context that hands it to the views."""
