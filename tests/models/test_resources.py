import pytest
import torch

from tunegate.machine import processor
from tunegate.models.resources import hardware, measured


def test_the_hardware_is_the_processor_and_the_threads_that_torch_uses() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert hardware("cpu") == f"{processor()}, 3 threads"
        torch.set_num_threads(1)
        assert hardware("cpu") == f"{processor()}, 1 thread"
    finally:
        torch.set_num_threads(threads)


def test_seconds_are_those_of_the_block_and_the_peak_is_what_the_process_held() -> None:
    with measured("cpu") as meter:
        block = bytearray(64 * 1024 * 1024)
        block[::4096] = b"x" * len(block[::4096])
    assert 0 < meter.seconds < 60
    assert 64 * 1024 * 1024 < meter.peak_memory_bytes < 1024**4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_peak_is_that_of_its_tensors() -> None:
    with measured("cuda") as meter:
        torch.zeros(16 * 1024 * 1024, dtype=torch.uint8, device="cuda")
    assert 16 * 1024 * 1024 <= meter.peak_memory_bytes < 1024**3
    assert hardware("cuda") == torch.cuda.get_device_name()
