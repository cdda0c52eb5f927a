#!/usr/bin/env python3
"""kill -9 at random instants under pipelined load, also while it recovers and inside its own file calls, again and again.

usage: tests/prove/kill.py [--seed N] [--count CYCLES] [--seconds N] [--json FILE] [--server PATH] [--where disk|memory|both]

Several clients load one server with every command family (actors.py) for 5-150 ms; then it ends by one of ENDS, starts again
(and is killed in that, now and then), and each actor's databases are checked. After LIFE cycles everything is read and a
new directory with other settings begins. Directories lie on disk and in memory by turns: a disk makes groups of commits wait,
memory makes many cycles a second.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

import common
from common import Violation
from rig import Rig

LIFE = 60   # cycles of one data directory
CALLS = ["pwritev2", "pwritev2", "pwrite64", "fdatasync", "fsync", "rename", "unlink", "openat", "link", "pread64", "preadv2"]
ENDS = [("kill", 70), ("call", 12), ("term", 12), ("int", 3), ("twice", 3)]


class KillRig(Rig):
    def __init__(self, tool, seed, where):
        super().__init__(tool, seed, tool.context("/dev/shm" if where == "memory" else tempfile.gettempdir()))
        self.where = where
        self.call = None    # the file call in which the running server is to die

    def again(self, cycles):
        return self.tool.again(self.seed, cycles, "--where", self.where)

    # ----------------------------------------------------------------------------------------------------- the start

    def start(self):
        """Starts the server; before that, now and then, starts that are killed before they serve."""
        self.call = None
        while self.chance.random() < 0.25:
            self.server.spawn()
            time.sleep(self.chance.uniform(0, (self.open_ms + 8) / 1000))
            self.kill_starting()
        super().start()

    def kill_starting(self):
        """Kills a server that was started a moment ago; counted by what it was doing."""
        self.check_alive()
        state = "unreachable"
        try:
            with self.server.client(timeout=5.0) as client:
                state = "serving" if client("PING") == "PONG" else "loading"
        except OSError:
            pass
        self.server.kill()
        self.add(f"kill:{state}")

    def start_to_die(self):
        """Starts the server under strace, which kills it in its k-th file call: in recovery already, or later."""
        self.call = self.chance.choice(CALLS)
        number = int(2 ** self.chance.uniform(0, 7))  # per thread
        self.server.wrapper = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={self.call}",
                               "-e", f"inject={self.call}:signal=KILL:when={number}"]
        try:
            self.server.spawn().start_waiting(timeout=60)
            self.note_start()
        except AssertionError:
            if self.server.process.poll() != -signal.SIGKILL:
                raise
            self.add(f"kill:call:{self.call}")
            self.add("kill:call_in_recovery")
            self.server.wrapper = []
            self.start()
        finally:
            self.server.wrapper = []

    # ------------------------------------------------------------------------------------------------------- the end

    def one_cycle(self):
        self.load(self.end)
        names, weights = zip(*ENDS)
        self.how = self.chance.choices(names, weights)[0]
        if self.how == "call" and shutil.which("strace") is None:
            self.tool.counters.skip("kill:call", "there is no strace")
            self.how = "kill"
        if self.how == "call":
            self.start_to_die()
        else:
            self.start()
        self.check(full=self.cycle % 20 == 19)

    def end(self):
        process = self.server.process
        if self.call is not None:
            self.end_in_call(process)
        else:
            self.check_alive()
            if self.how in ("kill", "call"):
                self.server.kill()
                self.add("kill:load")
            else:
                self.end_cleanly(process)
        self.add("cycles")
        self.add(f"cycles:{self.where}")

    def end_in_call(self, process):
        try:
            if process.wait(0.2) != -signal.SIGKILL:
                self.check_alive()
            self.add(f"kill:call:{self.call}")
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.add("kill:traced")

    def end_cleanly(self, process):
        """SIGTERM or SIGINT, also twice: what was acknowledged is on disk, and it does not take forever."""
        process.send_signal(signal.SIGINT if self.how == "int" else signal.SIGTERM)
        if self.how == "twice":
            for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
                process.send_signal(number)
        try:
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            raise Violation("the server does not end within 20 s of SIGTERM") from None
        # The second signal may leave at once, with its own code.
        if code != 0 and self.how != "twice":
            raise Violation(f"exit code {code} after {self.how}: {self.server.log_tail(5)}")
        self.add(f"end:{self.how}")

    # ----------------------------------------------------------------------------------------------------- the check

    def check(self, full):
        try:
            super().check(full)
        except OSError:
            # Killed inside a file call while we looked: nothing is settled that was not seen; look again.
            if self.call is None or self.server.process.wait(10) != -signal.SIGKILL:
                raise
            self.add(f"kill:call:{self.call}")
            self.start()
            super().check(full)

    def second_server(self):
        """A second server on the directory is refused, and the first goes on."""
        other = self.context.server(self.server.directory)
        other.spawn()
        if other.process.wait(20) == 0 or "lock" not in other.log():
            raise Violation(f"a second server on one directory: code {other.process.returncode}: {other.log_tail(3)}")
        self.add("second_server_refused")

    def run(self):
        self.how = "kill"
        self.start()
        self.second_server()
        self.repeat(LIFE, self.one_cycle)


def run(tool):
    seed = tool.options.seed
    while tool.go_on():
        where = tool.options.where
        if where == "both":
            where = "memory" if seed % 2 and os.path.isdir("/dev/shm") else "disk"
        rig = KillRig(tool, seed, where)
        tool.say(f"seed {seed} in {where}: {' '.join(rig.server.arguments[1:])}")
        rig.run()
        seed += 1


def main():
    where = (["--where"], {"choices": ["disk", "memory", "both"], "default": "both"})
    return common.Tool("kill", "kill -9 under load", 100, [where]).main(run)


if __name__ == "__main__":
    raise SystemExit(main())
