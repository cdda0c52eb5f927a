#!/usr/bin/env python3
"""System tests: the server as a process, met by the clients people use.

usage: tests/server/run.py [NAME...] [--list] [--cycles N] [--full] [--against redis] [--no-skips] [--keep]
       [--server PATH] [--json PATH]

NAME picks tests whose name contains it. `--against redis` points those that make sense there at a redis-server, to check the
expectations themselves. `--cycles` is for the kill loop, `--full` takes the sizes of a long night.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import harness  # noqa: E402

MODULES = ["clients", "messages", "acl", "tools", "observation", "starts", "directories", "descriptors", "kill_loop", "checkpoint", "package_index",
           "memory", "disk_full", "failed_sync", "benches", "stacks"]


def parse_arguments():
    parser = argparse.ArgumentParser(description="system tests of varve")
    parser.add_argument("names", nargs="*", help="run only tests whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="name the tests and stop")
    parser.add_argument("--cycles", type=int, default=20, help="kills in the kill loop")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices; printed when a test fails")
    parser.add_argument("--full", action="store_true", help="larger than memory with 2 GB against 200 MB")
    parser.add_argument("--against", choices=["varve", "redis"], default="varve")
    parser.add_argument("--no-skips", action="store_true", help="a skipped test is a failure")
    parser.add_argument("--keep", action="store_true", help="keep the directories of failed tests")
    parser.add_argument("--server", default=os.path.join(ROOT, "build", "varve-server"))
    parser.add_argument("--conf", default=os.path.join(ROOT, "conf", "varve.conf"))
    parser.add_argument("--redis-server", default=shutil.which("redis-server"))
    parser.add_argument("--json", help="also write the counts here")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "little")
    return options


def run_one(name, function, options):
    """'passed', 'failed' or 'skipped'."""
    context = harness.Context(options)
    began = time.monotonic()
    outcome = "failed"
    try:
        function(context)
        outcome = "passed"
        print(f"ok       {name} ({time.monotonic() - began:.1f} s)")
    except harness.Skip as reason:
        outcome = "failed" if options.no_skips else "skipped"
        print(f"{'FAILED   ' if options.no_skips else 'skipped  '}{name}: {reason}")
    except Exception:  # whatever it was, the other tests run
        print(f"FAILED   {name} ({time.monotonic() - began:.1f} s); again: tests/server/run.py {name} --seed {options.seed}")
        print(traceback.format_exc())
        print(context.log_tails())
    finally:
        context.close(keep=options.keep and outcome == "failed")
        sys.stdout.flush()
    return outcome


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended on the way out
    for module in MODULES:
        importlib.import_module("test_" + module)
    chosen = [(n, f) for n, f in harness.TESTS if not options.names or any(part in n for part in options.names)]
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if options.against == "varve" and not os.access(options.server, os.X_OK):
        sys.exit(f"{options.server} is not there: scripts/dev build")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, function in chosen:
        counts[run_one(name, function, options)] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(counts) + "\n")
    return 1 if counts["failed"] or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
