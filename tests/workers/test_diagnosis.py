import signal

import pytest

from workers.diagnosis import Death, count_memory_kills


@pytest.mark.parametrize(
    ("exit_code", "memory_kills", "last_words", "code"),
    [
        (-signal.SIGKILL, 1, "", "OUT_OF_MEMORY"),
        (-signal.SIGKILL, 0, "MemoryError", "RUNNER_CRASHED"),
        (-signal.SIGABRT, 0, "what(): std::bad_alloc", "OUT_OF_MEMORY"),
        (1, 0, "Traceback …\nMemoryError\n", "OUT_OF_MEMORY"),
        (1, 3, "", "RUNNER_CRASHED"),
        (0, 0, "MemoryError", "RUNNER_CRASHED"),
        (-signal.SIGXCPU, 0, "", "TIME_LIMIT"),
        (-signal.SIGXFSZ, 0, "", "DISK_LIMIT"),
        (-signal.SIGSEGV, 0, "", "RUNNER_CRASHED"),
        (-250, 0, "", "RUNNER_CRASHED"),
    ],
)
def test_every_end_has_a_name(exit_code, memory_kills, last_words, code):
    error = Death(exit_code, memory_kills, last_words).explain()
    assert error.code == code
    assert error.hint


def test_the_kernels_counter_never_falls():
    assert 0 <= count_memory_kills() <= count_memory_kills()
