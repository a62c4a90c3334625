"""A pytest plugin: which files took most processor time, with that of the commands that their tests ran."""

import resource
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

SECONDS = "processor_seconds"
SHOWN = 15


def used() -> float:
    """Processor seconds of this process and of those it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class ProcessorTime:
    """Measures each test where it runs, and sums up by file where the summary is written.

    `log` is what the fork server writes: a test's id and seconds a line, tab between.
    """

    def __init__(self, log: Path | None) -> None:
        self.log = log

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.start = used()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "teardown":
            report.user_properties.append((SECONDS, used() - self.start))
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        files: Counter[str] = Counter()
        for report in (report for reports in terminalreporter.stats.values() for report in reports):
            if getattr(report, "when", "") == "teardown":
                files[report.nodeid.partition("::")[0]] += dict(report.user_properties).get(SECONDS, 0)
        if self.log and self.log.exists():
            for line in self.log.read_text().splitlines():
                test, _, seconds = line.partition("\t")
                files[test.partition("::")[0]] += float(seconds)
        if sum(files.values()) < 60:
            return
        terminalreporter.section(f"processor time: {sum(files.values()):.0f} s in {len(files)} files, most in")
        for file, seconds in files.most_common(SHOWN):
            terminalreporter.line(f"{seconds:6.0f} s  {file}")
