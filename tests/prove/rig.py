"""A server under the load of its actors, cycle by cycle: load, an end, a start, a check."""

import random
import re
import threading
import time

import actors
from common import Violation, small_settings

ACTORS = 4
READY = re.compile(r"ready: \d+ tables.*opened in (\d+) ms \((\d+) log batches replayed\)")


class Rig:
    """One data directory in `context`, its server with drawn settings, and its actors."""

    def __init__(self, tool, seed, context, directory=None):
        self.tool = tool
        self.seed = seed
        self.context = context
        self.chance = random.Random(seed)
        self.server = context.server(directory, **small_settings(self.chance))
        self.actors = [actors.Actor(n, tool.counters, random.Random(self.chance.random())) for n in range(ACTORS)]
        for actor in self.actors:
            actor.others = self.actors
        self.cycle = 0
        self.how = "start"      # how the server ends in this cycle
        self.open_ms = 10       # how long the last start took, as the server says
        self.log_offset = 0
        self.before = None      # run by the server's process before it becomes the server

    def add(self, name, n=1):
        self.tool.counters.add(name, n)

    def check_alive(self):
        if self.server.process.poll() is not None:
            raise Violation(f"the server ended by itself with code {self.server.process.returncode}: "
                            f"{self.server.log_tail(5)}")

    def load(self, end):
        """All actors send for 5-150 ms; then `end` ends the server under them."""
        stop = threading.Event()
        threads = [threading.Thread(target=actor.run, args=(self.server.port, stop)) for actor in self.actors]
        for thread in threads:
            thread.start()
        self.actors[-1].connected.wait(5)
        time.sleep(self.chance.uniform(0.005, 0.150))
        try:
            end()
        finally:
            stop.set()
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                raise Violation("a client hangs although the server is gone")
        actors.raise_failure(self.actors)
        self.add("commands_sent", sum(actor.turn - actor.turn_at_check for actor in self.actors))

    def check(self, full):
        actors.check_all(self.actors, self.server, full)

    def start(self):
        """Starts the server to serve; a start that replayed something counts as a recovery."""
        self.server.start(timeout=60, before=self.before)
        self.note_start()

    def note_start(self):
        with open(self.server.log_path, encoding="utf-8", errors="replace") as file:
            file.seek(self.log_offset)
            found = READY.findall(file.read())
            self.log_offset = file.tell()
        if not found:
            return
        self.open_ms, replayed = map(int, found[-1])
        self.add("recoveries" if replayed else "starts_without_replay")
        self.add("log_batches_replayed", replayed)

    def repeat(self, cycles, one_cycle):
        """`one_cycle` until there were enough; a violation ends this directory's life and is counted."""
        try:
            for _ in range(cycles):
                if not self.tool.go_on():
                    break
                one_cycle()
                self.cycle += 1
                self.tool.rounds += 1
            self.check(full=True)
        except (Violation, AssertionError, OSError) as error:
            self.tool.counters.violation(f"seed {self.seed} cycle {self.cycle} ({self.how}): {error}", self.again(cycles))
        finally:
            self.tool.close_context(self.context)
