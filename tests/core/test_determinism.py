import numpy as np
import pytest
import torch

from synthpairs.core.determinism import deterministic_threads, pad_batch


@pytest.mark.parametrize(("exact_up_to", "expected"), [(2, 2), (1, 1), (0, 2)])
def test_the_largest_exact_number_of_threads_is_used(exact_up_to, expected, caplog):
    def copies():
        rows = np.ones((4, 3))
        rows[2, 1] += 1e-9 * (torch.get_num_threads() > exact_up_to)
        return rows

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert deterministic_threads(copies) == expected
        assert torch.get_num_threads() == 2, "the number of threads was not restored"
    finally:
        torch.set_num_threads(before)
    assert ("a resumed run may differ" in caplog.text) == (exact_up_to == 0)


def test_batches_are_padded_with_the_last_item():
    assert (pad_batch([1, 2], 4), pad_batch([1, 2], 2)) == ([1, 2, 2, 2], [1, 2])
