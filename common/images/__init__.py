"""Images and uploaded pictures: search, likeness, provenance, quarantine, contact sheets, erasure."""
