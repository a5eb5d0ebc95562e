"""Turn decoded pixels into published files: check, encode, mark and sign."""
