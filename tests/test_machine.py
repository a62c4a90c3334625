import os
from pathlib import Path

import pytest

from tunegate.machine import cores, free_memory, memory_limit, peak_memory, processor

MB = 2**20


def test_memory_is_what_the_control_groups_of_a_container_allow(tmp_path: Path) -> None:
    whole = memory_limit(tmp_path)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/old\n0::/pod/one\n")
    own = tmp_path / "sys/fs/cgroup/pod/one"
    own.mkdir(parents=True)
    (own / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) == whole > 200 * MB
    (own.parent / "memory.max").write_text(f"{200 * MB}\n")
    assert memory_limit(tmp_path) == 200 * MB


def test_free_memory_is_what_the_system_says_is_available_within_the_limit(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == memory_limit(tmp_path), "a system that does not say"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  1000 kB\n")
    assert free_memory(tmp_path) == 1000 * 1024
    (tmp_path / "proc/meminfo").write_text(f"MemAvailable:  {2**60} kB\n")
    assert free_memory(tmp_path) == memory_limit(tmp_path)


def test_the_peak_is_what_the_process_held_at_most() -> None:
    before = peak_memory()
    block = bytearray(before + 64 * MB)
    block[::4096] = b"x" * len(block[::4096])
    assert before + 64 * MB <= peak_memory() < 1024**4
    del block
    assert peak_memory() >= before + 64 * MB, "also when it is freed"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to processors")
def test_only_those_processors_count_that_the_process_may_run_on() -> None:
    allowed = os.sched_getaffinity(0)
    assert cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_processor_is_named_as_the_system_does_or_by_its_architecture(tmp_path: Path) -> None:
    info = tmp_path / "proc/cpuinfo"
    info.parent.mkdir()
    info.write_text("vendor_id\t: X\nmodel name\t: Quick 9000 @ 3 GHz\nmodel name\t: Quick 9000 @ 3 GHz\n")
    assert processor(tmp_path) == "Quick 9000 @ 3 GHz"
    info.write_text("CPU part\t: 0xd40\n")
    assert processor(tmp_path)
