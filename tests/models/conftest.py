import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Tensors this small gain nothing from a second thread, and other tests may want it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
