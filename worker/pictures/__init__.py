"""From decoded pixels to published files: checked, encoded, marked and signed."""
