import sys

import pytest

OURS = ("WANDB_DATA_DIR", "WANDB_SILENT", "WANDB_ERROR_REPORTING", "HF_HUB_OFFLINE")  # set by our code for the process


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    """Nobody is logged in, nothing can be reached, and what the code sets is gone after the test."""
    for name in OURS:
        monkeypatch.setenv(name, "")
    for name in (*OURS, "WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()  # it would remember a key
