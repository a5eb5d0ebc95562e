import subprocess
import sys

HANG = """
import time
from worker.engine.watchdog import Watchdog
watchdog = Watchdog(0.4)
with watchdog:
    for _ in range(3):
        time.sleep(0.2)
        watchdog.feed()
time.sleep(0.6)
print("fed and rested", flush=True)
watchdog.feed()
time.sleep(60)
"""


def test_a_process_that_stops_feeding_its_watchdog_ends_with_a_traceback():
    done = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (1, "fed and rested\n")
    assert "Timeout" in done.stderr
    assert "time.sleep" in done.stderr or "line 12" in done.stderr
