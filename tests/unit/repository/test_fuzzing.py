"""The limits of fuzz tests are enforced."""

import pytest

from tests.fuzzing import _STATUS, bounded


def test_too_much_time_is_noticed() -> None:
    with pytest.raises(AssertionError, match="s of processor time"), bounded(seconds=0):
        sum(range(100_000))


@pytest.mark.skipif(not _STATUS.exists(), reason="only Linux tells how much memory was used")
def test_memory_that_was_freed_again_is_noticed() -> None:
    many = [bytearray(100_000) for _ in range(2_000)]
    last = bytearray(100_000)
    # What was freed before, and is still the process's, hides nothing.
    del many
    with pytest.raises(AssertionError, match="MB of memory"), bounded(megabytes=50):
        bytearray(100_000_000)
    with bounded(megabytes=50):
        bytearray(10_000_000)
    assert len(last) == 100_000
