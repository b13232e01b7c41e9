"""Fixtures of the tests of the model."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Where bits are compared, sums must not be split differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
