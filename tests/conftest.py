import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def nobody_is_immune():
    """Under `nohup`, or in the background of a script, signals would be ignored that tests send."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
