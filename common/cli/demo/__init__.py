"""``pressroom demo``: a temporary stack that generates images and a small campaign."""
