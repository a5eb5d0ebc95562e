"""The pages of the console about campaigns."""
