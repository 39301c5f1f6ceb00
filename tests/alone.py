"""`python -m tests.alone ARGUMENTS`: pytest in a session of its own.

Linux shares its processors out by session (see sched(7), autogroup): several of these side by side get the same each,
however many servers each has started. A shell in the background has its children ignore SIGINT; here it ends the tests.
"""

import os
import signal
import sys

import pytest

if __name__ == "__main__":
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(pytest.main(sys.argv[1:]))
