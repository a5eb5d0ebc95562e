"""Safety checkers: score the exact pixels to be published before anything is published."""
