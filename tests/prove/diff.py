#!/usr/bin/env python3
"""The same random commands to varve and to redis-server 7.0: every reply must be the same, byte for byte.

usage: tests/prove/diff.py [--seed N] [--count COMMANDS] [--seconds N] [--family NAME,...] [--json FILE] [--server PATH]

A stream of some hundred commands, over two connections by turns, in pipelines, begins on flushed servers in RESP2 or RESP3, and
at its end the contents are compared, too. Its commands come from one or some of the families in diff_families.py and
diff_server_families.py. What may differ is the table ALLOWED of diff_replies.py. A stream whose replies differ is reduced to
the shortest that does, and shown in the form of tests/server/commands/*.txt with Redis's replies. No key's time runs out between
the two servers' looks at it: times are far away, or over already.
"""

import os
import random
import shutil
import tempfile
import time

import common
from common import small_settings
from diff_replies import line_of, replies_in, shown
from diff_server_families import TOUR, Step
from diff_streams import FAMILIES, Difference, Drawer, Pair
from harness import Skip, shorten

LENGTH = 400            # of a stream, about
LIFE = 64               # streams of one pair of servers: those whose seeds share all but the last bits
TOUR_EVERY = 16         # streams: one that begins with TOUR
REDUCE_S = 60           # a stream is reduced for so long
ENOUGH = 50_000         # commands after which each command of scope must have been exercised
# Commands that are not compared, and why.
NOT_SENT = {
    "shutdown": "ends the server", "monitor": "what follows is no reply", "compact": "varve's own", "waitaof": "Redis 7.2's",
    "client|no-touch": "Redis 7.2's", "client|setinfo": "Redis 7.2's", "save": "a checkpoint, in varve", "bgsave": "a checkpoint, in varve",
    "bgrewriteaof": "a compaction, in varve", "config|rewrite": "there is no file to write to", "debug": "compared by subcommands"}
# Commands that can only be refused here: there is no cluster, no module, no file of users, no tracking, no group of
# consumers and no event of latency.
REFUSED = {"readonly", "readwrite", "asking", "module|load", "module|loadex", "module|unload", "acl|load", "acl|save", "client|caching",
           "latency|graph", "xinfo|consumers"} | {
               "cluster|" + name for name in "countkeysinslot getkeysinslot help info keyslot links myid nodes shards slots".split()}


class Run:
    """The tool at work: a pair of servers, and what was found."""

    def __init__(self, tool):
        self.tool = tool
        self.life = None
        self.context = None
        self.kinds = set()      # of differences reported already
        self.folder = os.path.dirname(os.path.abspath(tool.options.json)) if tool.options.json else tempfile.gettempdir()

    def servers(self, seed):
        """Starts the pair for this seed, unless it runs."""
        if self.life == seed // LIFE:
            return
        self.stop()
        self.context = self.tool.context("/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.context.options.redis_server = shutil.which("redis-server")
        theirs = self.context.redis(appendonly="no")
        theirs.arguments += ["--enable-debug-command", "local", "--hz", "500"]  # of 10 a second, a timeout is up to 100 ms late
        ours = self.context.server(**small_settings(random.Random(seed // LIFE)))
        self.ports = [ours.start().port, theirs.start().port]
        with theirs.client() as client:
            version = client.info("server")["redis_version"]
            if not version.startswith("7.0."):
                raise Skip(f"redis-server is {version}, not 7.0")
        with ours.client() as client:
            self.commands = {name.decode() for name in client.ok("COMMAND", "LIST")}
        self.names = {name.split("|")[0] for name in self.commands if "|" in name} | {"debug"}
        self.life = seed // LIFE

    def count(self, name, n=1):
        """Errors are told by command only where there is nothing else."""
        if not name.startswith("refused:") or name[len("refused:") :] in REFUSED:
            self.tool.counters.add(name, n)

    def stop(self):
        if self.context is not None:
            self.tool.close_context(self.context)
            self.context = self.life = None

    def stream(self, seed):
        """(steps, pipeline) of a seed."""
        chance = random.Random(seed)
        families = self.tool.options.family.split(",") if self.tool.options.family else list(FAMILIES)
        if chance.random() < 0.6:
            families = chance.sample(families, min(len(families), chance.choice([1, 2, 3])))
        drawer = Drawer(chance, families)
        steps = [Step(connection, [b"HELLO", chance.choice([b"2", b"3"])]) for connection in range(2)]
        if seed % TOUR_EVERY == 0:
            steps += [Step(0, words) for words in TOUR]
        steps += [Step(0, words) for _ in range(chance.choice([0, 5, 10])) for words in drawer.events()]  # something to work on
        length = chance.randrange(LENGTH // 4, 2 * LENGTH)
        while len(steps) < length:
            steps += drawer.steps()
        return steps, chance.choice([1, 5, 30])

    def attempt(self, steps, pipeline, count=lambda name, n=1: None):
        """Runs a stream on fresh servers; (its Difference or None, its pair of transcripts)."""
        pair = Pair(self.ports, self.names, count)
        try:
            pair.fresh()
            pair.run(steps, pipeline)
            pair.compare_content(len(steps))
            return None, pair
        except Difference as difference:
            return difference, pair
        finally:
            pair.close()

    def one_stream(self, seed):
        self.servers(seed)
        steps, pipeline = self.stream(seed)
        difference, pair = self.attempt(steps, pipeline, self.count)
        self.tool.counters.add("streams")
        self.tool.counters.add("commands", len(steps))
        self.tool.rounds += len(steps)
        if difference is not None:
            kind = difference.kind(pair.name_of(difference.words))
            self.tool.counters.add("differences")
            if kind not in self.kinds:
                self.kinds.add(kind)
                self.report(seed, steps, pipeline, difference, kind, pair.transcript)

    # ----------------------------------------------------------------------------------------------------- reducing

    def again(self, steps, pipeline, kind):
        """The steps up to the difference when it is still of that kind, which is kept; else None."""
        difference, pair = self.attempt(steps, pipeline)
        if difference is None or difference.kind(pair.name_of(difference.words)) != kind:
            return None
        self.found = difference, pair.transcript
        return steps[: difference.number + 1]

    def reduced(self, steps, pipeline, kind):
        """The shortest stream with that difference: parts are left out, ever smaller ones, down to single commands."""
        until = time.monotonic() + REDUCE_S
        best = self.again(steps, pipeline, kind)
        if best is None:
            return None, pipeline
        shorter = self.again(best, 1, kind)
        if shorter is not None:
            best, pipeline = shorter, 1
        size = len(best) // 2
        while size >= 1:
            at, found = 0, False
            while at < len(best) and time.monotonic() < until:
                shorter = self.again(best[:at] + best[at + size :], pipeline, kind)
                if shorter is not None and len(shorter) < len(best):
                    best, found = shorter, True
                else:
                    at += size
            size = size if found and size == 1 else size // 2
        return best, pipeline

    def report(self, seed, steps, pipeline, difference, kind, transcript):
        self.found = difference, transcript
        best, pipeline = self.reduced(steps, pipeline, kind)
        difference, transcript = self.found
        note = "" if best else " (did not come again)"
        best = best or steps[: difference.number + 1]
        words = line_of(difference.words)
        path = os.path.join(self.folder, f"diff-{seed}.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# seed {seed}, pipeline {pipeline}: at {words}\n# varve: {shown(difference.ours)!r}\n")
            file.write(script(transcript))
        what = (f"seed {seed}, {kind[0]}{note}: {shorten(words)}\n      varve {shorten(difference.ours)}\n      redis "
                f"{shorten(difference.theirs)}\n      {len(best)} commands, in {path}")
        what += "".join(f"\n      {s.connection + 1}> {shorten(line_of(s.words), 160)}" for s in best[-12:])
        family = ["--family", self.tool.options.family] if self.tool.options.family else []
        self.tool.counters.violation(what, self.tool.again(seed, 1, *family))

    def check_coverage(self):
        counts = self.tool.counters.counts
        if self.tool.options.family or counts.get("commands", 0) < ENOUGH:
            return
        wanted = self.commands - (self.names - {"command"}) - set(NOT_SENT)
        never = sorted(name for name in wanted if not counts.get(("refused:" if name in REFUSED else "command:") + name))
        if never:
            self.tool.counters.violation(f"never exercised: {' '.join(never)}", self.tool.again(self.tool.options.seed, ENOUGH))


def script(transcript):
    """A stream and Redis's replies, as tests/server/commands has them."""
    lines = []
    for step, replies in transcript:
        client = "2" if step.connection else ""
        lines.append(f"{client}> {line_of(step.words)}")
        for reply in replies_in(replies)[:1] or [b""]:
            lines.append(shown(reply))
        lines += [f"{client or '1'} reads>\n{shown(reply)}" for reply in replies_in(replies)[1:]]
    return "\n".join(lines) + "\n"


def run(tool):
    found = Run(tool)
    unknown = [name for name in tool.options.family.split(",") if name not in FAMILIES] if tool.options.family else []
    if unknown:
        raise SystemExit(f"no such family: {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    if shutil.which("redis-server") is None:
        raise Skip("there is no redis-server")
    seed = tool.options.seed
    try:
        while tool.go_on():
            try:
                found.one_stream(seed)
            except (AssertionError, OSError) as error:
                tool.counters.violation(f"seed {seed}: {error}", tool.again(seed, 1))
                found.stop()
            seed += 1
        found.check_coverage()
    finally:
        found.stop()


def main():
    family = (["--family"], {"help": "only of these: " + ", ".join(FAMILIES)})
    return common.Tool("diff", "the same commands to varve and to redis-server", 100_000, [family]).main(run)


if __name__ == "__main__":
    raise SystemExit(main())
