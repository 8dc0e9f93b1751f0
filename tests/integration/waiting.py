"""waiting: the one loop that waits for a condition with a deadline and says what it waited for."""
import time


def until(condition, what, deadline=20.0):
    """Waits until condition() is true and returns its value; fails the test when it never is."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {deadline} s: {what}")
