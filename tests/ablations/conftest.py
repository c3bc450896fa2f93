from pathlib import Path

import pytest


@pytest.fixture
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared text, made once for all tests."""
    return tmp_path_factory.mktemp("cache")
