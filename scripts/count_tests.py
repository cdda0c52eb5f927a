#!/usr/bin/env python3
"""Adds up what was tested and prints it as one plain line: "N passed, N failed, N skipped".

usage: count_tests.py MESON_TESTLOG_JSON [COUNTS_JSON...]

The unit is the test case. A doctest program tells how many it ran; any other program counts as one. A program that
died, ran out of time or was never started counts as one failure beside what it told. The exit code is 1 when any failed.
"""

import json
import os
import re
import sys

SUMMARY = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
PASSED = {"OK", "EXPECTEDFAIL"}


def count_program(test):
    """(passed, failed, skipped) of one entry of meson's testlog.json."""
    if test["result"] == "SKIP":
        return 0, 0, 1
    good = test["result"] in PASSED
    summary = SUMMARY.search(re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout", "")))
    if summary is None:
        return (1, 0, 0) if good else (0, 1, 0)
    _, passed, failed, skipped = map(int, summary.groups())
    if good and passed + failed == 0:
        return 0, 1, skipped  # a program that tests nothing is a mistake in the build
    return passed, failed if good else max(failed, 1), skipped


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        if not os.path.exists(path):
            print(f"{path}: these tests did not run to their end")
            failed += 1
            continue
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        if not lines:
            print(f"{path}: no test ran")
            failed += 1
        for line in lines:
            counts = count_program(line) if "result" in line else (line["passed"], line["failed"], line["skipped"])
            passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), counts))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
