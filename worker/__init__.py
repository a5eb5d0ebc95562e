"""The press: claims jobs, prints, checks, marks and publishes them."""
