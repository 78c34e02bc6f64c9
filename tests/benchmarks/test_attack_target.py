from benchmarks.attacks.target import PROBES, SEARCHED
from embedded.supervisor import PROCESSES


def test_each_process_of_the_stack_can_be_asked_for_honest_work() -> None:
    assert sorted((*PROBES, *SEARCHED)) == sorted(PROCESSES)
