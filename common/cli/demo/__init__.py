"""``pressroom demo``: a stack that lives for one run, its pictures and a small campaign."""
