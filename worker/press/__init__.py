"""A press: claims jobs, runs them on its engine and publishes what they give."""
