"""What the tools of the proof that drive a real process share: options and counters.

Each tool prints and writes what tests/prove/proof.h's Counters does: what really happened by name, what was skipped and why,
and each violation with the command line that repeats it. A seed repeats every choice (settings, commands, moments); the
kernel's timing stays its own, so a violation may need some runs to come again.
"""

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "server"))
sys.setswitchinterval(0.0005)  # a thread that is to kill the server must not wait for those that load it

import harness  # noqa: E402

MAX_VIOLATIONS = 5  # then a tool ends: what follows repeats what is known


class Violation(Exception):
    """varve broke a promise; the message is one line that says which."""


class Counters:
    """Counts by name ("what" or "what:kind") of what really happened."""

    def __init__(self):
        self.counts = {}
        self.skips = {}
        self.violations = []

    def add(self, name, n=1):
        self.counts[name] = self.counts.get(name, 0) + n

    def skip(self, what, why):
        self.skips[what] = why

    def violation(self, what, again):
        self.violations.append({"what": what, "again": again})
        print(f"VIOLATION {what}\n  again: {again}", file=sys.stderr, flush=True)

    def table(self):
        lines = [f"  {name:<40} {n:>14}" for name, n in sorted(self.counts.items())]
        lines += [f"  {what:<40} skipped: {why}" for what, why in sorted(self.skips.items())]
        return "\n".join(lines + [f"  {'violations':<40} {len(self.violations):>14}"])

    def json(self, tool, seconds):
        return json.dumps({"tool": tool, "seconds": round(seconds, 3), "counts": dict(sorted(self.counts.items())),
                           "skips": self.skips, "violations": self.violations}) + "\n"


class Tool:
    """One run of a tool: its options and counters, and when to stop."""

    def __init__(self, name, description, count, more=()):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--count", type=int, default=0, help=f"rounds; {count} without --seconds")
        parser.add_argument("--seconds", type=float, default=0, help="start no round after that time")
        parser.add_argument("--json", help="also write the counters here")
        parser.add_argument("--server", default=os.path.join(ROOT, "build", "varve-server"))
        parser.add_argument("--verbose", action="store_true", help="say what is done")
        for words, settings in more:
            parser.add_argument(*words, **settings)
        self.options = parser.parse_args()
        self.name = name
        self.counters = Counters()
        self.began = time.monotonic()
        self.default_count = count
        self.rounds = 0
        self.contexts = []
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and mounts end on the way out

    def say(self, text):
        if self.options.verbose:
            print(f"[{time.monotonic() - self.began:8.2f}] {text}", flush=True)

    def elapsed(self):
        return time.monotonic() - self.began

    def go_on(self):
        """True while another round may start."""
        options = self.options
        count = options.count or (sys.maxsize if options.seconds > 0 else self.default_count)
        return (self.rounds < count and (options.seconds <= 0 or self.elapsed() < options.seconds)
                and len(self.counters.violations) < MAX_VIOLATIONS)

    def context(self, folder=None):
        """A harness context whose directories lie in `folder`; close it with close_context."""
        old, tempfile.tempdir = tempfile.tempdir, folder
        try:
            context = harness.Context(types.SimpleNamespace(
                server=os.path.abspath(self.options.server), conf=os.path.join(ROOT, "conf", "varve.conf"), against="varve",
                redis_server=None, seed=self.options.seed))
        finally:
            tempfile.tempdir = old
        self.contexts.append(context)
        return context

    def close_context(self, context):
        context.close()
        self.contexts.remove(context)

    def again(self, seed, count, *more):
        words = [f"tests/prove/{os.path.basename(sys.argv[0])}", "--seed", str(seed), "--count", str(count), *more]
        if self.options.server != os.path.join(ROOT, "build", "varve-server"):
            words += ["--server", self.options.server]
        return " ".join(shlex.quote(w) for w in words)

    def main(self, run):
        """Runs the tool to its end; the exit code."""
        if not os.access(self.options.server, os.X_OK):
            sys.exit(f"{self.options.server} is not there: scripts/dev build")
        try:
            run(self)
        except harness.Skip as reason:
            self.counters.skip(self.name, str(reason))
        finally:
            for context in list(self.contexts):
                self.close_context(context)
            print(f"{self.name} ({self.elapsed():.1f} s)\n{self.counters.table()}", flush=True)
            if self.options.json:
                with open(self.options.json, "w", encoding="utf-8") as file:
                    file.write(self.counters.json(self.name, self.elapsed()))
        return 1 if self.counters.violations else 0


def small_settings(chance):
    """Settings under which flushes, compactions and new log segments are under way at any instant; drawn."""
    return {
        "memtable_size": chance.choice(["1mb", "1mb", "2mb", "4mb"]),
        "log_segment_size": chance.choice(["1mb", "1mb", "2mb", "4mb"]),
        "table_size": chance.choice(["1mb", "1mb", "2mb"]),
        "base_level_size": chance.choice(["2mb", "4mb"]),
        "block_size": chance.choice(["1kb", "4kb", "8kb", "16kb"]),
        "level0_trigger": chance.choice(["2", "2", "4"]),
        "compression": chance.choice(["none", "lz4", "zstd"]),
        "bottom_compression": chance.choice(["none", "lz4", "zstd"]),
        "filter_bits_per_key": chance.choice(["0", "10", "10"]),
        "max_frozen_memtables": chance.choice(["1", "2", "3"]),
        "maxmemory": chance.choice(["64mb", "96mb", "192mb"]),
        "debug_random_miss": chance.choice(["0", "50", "300"]),
    }
