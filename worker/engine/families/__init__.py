"""Model families: one module for each kind of pipeline."""
