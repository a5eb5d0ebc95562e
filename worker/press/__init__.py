"""A press: claims jobs, runs them on its engine and publishes the images."""
