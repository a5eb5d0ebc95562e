"""What may be asked for, what may leave, and what is kept for a reviewer's eyes."""
