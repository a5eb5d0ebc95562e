"""``python -m common.cli`` is ``pressroom``."""

from common.cli import main

main()
