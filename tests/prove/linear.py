#!/usr/bin/env python3
"""Linearizability: concurrent clients on few hot keys, kill -9 in between; what they saw is checked by `varve_prove history`.

usage: tests/prove/linear.py [--seed N] [--count HISTORIES] [--seconds N] [--json FILE] [--server PATH] [--checker PATH]

Every client notes when it sent each command and when it had the answer, by one monotonic clock; a command cut off by a crash is
noted with the time at which the server was known to be dead. The form of a history stands in history.h. Keys are as few as
the clients, so nearly all commands meet others; one group of keys sees single commands only, one also batches. Queues and
scores are noted as the texts and numbers they amount to (`sent_as`). A history that is rejected is kept beside the JSON file (or
in the temporary directory) and named.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

import common
from common import Violation, small_settings
from harness import Client, ReplyError, encode

CLIENTS = 5
CRASHES = 4             # a history's lives of the server
ROUNDS = (10, 60)       # pipelines of a client in one life, at most
BATCH_HISTORIES = 20    # handed to the checker at once
SINGLE = [b"s%d" % i for i in range(6)]
JOINED = [b"j%d" % i for i in range(3)]
NUMBERS = [b"n%d" % i for i in range(2)]
QUEUES = [b"q%d" % i for i in range(2)]     # lists: for the checker a text of elements of one size
SCORES = [b"z%d" % i for i in range(2)]     # sorted sets of one member: for the checker numbers
MEMBER = b"member"
ELEMENT_SIZE = 7


class Recorder:
    """One client: what it did, a line of the history each, with its answer or without."""

    def __init__(self, number, chance):
        self.name = f"c{number}"
        self.number = number
        self.chance = chance
        self.tags = 0
        self.lines = []     # (sent, line), with "?" in place of a time that is not known yet
        self.open = []      # (sent, words) without an answer
        self.failure = None

    def tag(self):
        self.tags += 1
        return b"%d.%d;" % (self.number, self.tags)

    def draw(self):
        kind = self.chance.random()
        if kind < 0.2:
            return self.draw_collection()
        if kind < 0.3:
            key = self.chance.choice(NUMBERS)
            return self.chance.choice([(b"incrby", key, b"%d" % self.chance.randrange(1, 100)), (b"get", key)])
        keys = JOINED if self.chance.random() < 0.4 else SINGLE
        key = self.chance.choice(keys)
        if keys is JOINED and kind < 0.65:
            some = self.chance.sample(JOINED, self.chance.randrange(2, 4))
            batch = [word for each in some for word in (each, self.tag())]
            return self.chance.choice([(b"mset", *batch), (b"mget", *some), (b"mget", *some), (b"msetnx", *batch),
                                       (b"rename", some[0], some[1])])
        one = self.tag()
        return self.chance.choice([(b"get", key), (b"get", key), (b"get", key), (b"set", key, one), (b"set", key, one),
                                   (b"setnx", key, one), (b"getset", key, one), (b"append", key, one), (b"del", key),
                                   (b"getdel", key)])

    def draw_collection(self):
        key = self.chance.choice(QUEUES + SCORES)
        if key in SCORES:
            return self.chance.choice([(b"incrby", key, b"%d" % self.chance.randrange(1, 100)), (b"get", key), (b"del", key)])
        self.tags += 1
        one = b"%d.%04d;" % (self.number, self.tags)
        return self.chance.choice([(b"append", key, one), (b"append", key, one), (b"pop", key), (b"pop", key), (b"get", key),
                                   (b"getdel", key)])

    def run(self, port, rounds):
        """A thread's whole life: up to `rounds` pipelines, or until the server is gone."""
        try:
            with Client(port) as client:
                for _ in range(rounds):
                    batch = [self.draw() for _ in range(self.chance.choice([1, 1, 1, 2]))]
                    sent = time.monotonic_ns()
                    self.open = [(sent, words) for words in batch]
                    client.send(b"".join([encode(*sent_as(words)) for words in batch]))
                    for words in batch:
                        reply = client.receive()
                        self.note(sent, str(time.monotonic_ns()), words, answer_text(words, reply))
                        self.open.pop(0)
        except OSError:
            pass  # the server was killed
        except Exception as error:  # told by the main thread
            self.failure = error

    def note(self, sent, answered, words, reply):
        self.lines.append((sent, f"{self.name} {sent} {answered} {b' '.join(words).decode()} -> {reply}"))

    def cut_off(self, gone):
        """The server was known to be dead at `gone`: what is open has no answer. What was sent later never arrived."""
        for sent, words in self.open:
            if sent <= gone:
                self.note(sent, f"?{gone}", words, "?")
        self.open = []


def sent_as(words):
    """The command that does to a list or a sorted set what the words say of a text or a number."""
    name, key = words[:2]
    if key in QUEUES:
        return {b"append": (b"RPUSH", key, *words[2:]), b"pop": (b"LPOP", key), b"get": (b"LRANGE", key, 0, -1),
                b"getdel": (b"LPOP", key, 1_000_000)}[name]
    if key in SCORES:
        return {b"incrby": (b"ZINCRBY", key, *words[2:], MEMBER), b"get": (b"ZSCORE", key, MEMBER),
                b"del": (b"ZREM", key, MEMBER)}[name]
    return words


def answer_text(words, reply):
    if isinstance(reply, ReplyError):
        if words[0] == b"rename" and str(reply) == "ERR no such key":
            return "-"
        raise Violation(f"{b' '.join(words).decode()}: {reply}")
    if words[1] in QUEUES and isinstance(reply, list):
        return b"".join(reply).decode() or "-"
    if words[1] in QUEUES and isinstance(reply, int):
        return str(ELEMENT_SIZE * reply)
    if isinstance(reply, list):
        return " ".join(answer_text(words, each) for each in reply)
    if isinstance(reply, bytes):
        return reply.decode()
    return "-" if reply is None else str(reply).lower()


def one_history(tool, seed, folder):
    """Records one history; its path. The keys are read by everybody after each crash."""
    chance = random.Random(seed)
    context = tool.context("/dev/shm" if seed % 2 and os.path.isdir("/dev/shm") else None)
    try:
        server = context.server(**small_settings(chance))
        recorders = [Recorder(n, random.Random(chance.random())) for n in range(CLIENTS)]
        lines = []
        for _ in range(CRASHES):
            server.start(timeout=60)
            lines.append((time.monotonic_ns(), f"crash {one_life(tool, server, recorders, chance)}"))
        for recorder in recorders:
            lines += recorder.lines
            for family, keys in (("queue", QUEUES), ("score", SCORES)):
                found = sum(1 for _, line in recorder.lines if line.split(" ", 5)[4].encode() in keys)
                tool.counters.add(f"family:{family}", found)
        path = os.path.join(folder, f"history-{seed}.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(line for _, line in sorted(lines, key=lambda pair: pair[0])) + "\n")
        return path
    finally:
        tool.close_context(context)


def one_life(tool, server, recorders, chance):
    """Load until the kill; the time from which the server is known to be dead."""
    rounds = chance.randrange(*ROUNDS)
    threads = [threading.Thread(target=recorder.run, args=(server.port, rounds)) for recorder in recorders]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.002, 0.06))
    if server.process.poll() is not None:
        raise Violation(f"the server ended by itself with code {server.process.returncode}: {server.log_tail(5)}")
    server.kill()
    gone = time.monotonic_ns()
    for thread in threads:
        thread.join(60)
    for recorder in recorders:
        if recorder.failure is not None:
            raise recorder.failure
        recorder.cut_off(gone)
    tool.counters.add("kills")
    return gone


def check(tool, checker, paths, keep):
    """Hands the histories to the checker and takes over what it counted and found."""
    if not paths:
        return
    out = os.path.join(os.path.dirname(paths[0]), "checked.json")
    result = subprocess.run([checker, "history", "--json", out, *paths], capture_output=True, check=False)
    if not os.path.exists(out):
        raise Violation(f"the checker failed: {result.stderr.decode(errors='replace')[-300:]}")
    with open(out, encoding="utf-8") as file:
        found = json.load(file)
    os.remove(out)
    for name, n in found["counts"].items():
        tool.counters.add(name, n)
    for violation in found["violations"]:
        path = violation["what"].split(":")[0]
        kept = os.path.join(keep, os.path.basename(path))
        shutil.copy(path, kept)
        seed = os.path.basename(path).split("-")[1].split(".")[0]
        tool.counters.violation(violation["what"].replace(path, kept), tool.again(int(seed), 50))
    for path in paths:
        os.remove(path)


def run(tool):
    options = tool.options
    checker = options.checker or os.path.join(os.path.dirname(os.path.abspath(options.server)), "tests", "varve_prove")
    keep = os.path.dirname(os.path.abspath(options.json)) if options.json else tempfile.gettempdir()
    folder = tool.context().folder
    paths = []
    while tool.go_on():
        seed = options.seed + tool.rounds
        try:
            paths.append(one_history(tool, seed, folder))
        except (Violation, AssertionError, OSError) as error:
            tool.counters.violation(f"seed {seed}: {error}", tool.again(seed, 1))
        tool.rounds += 1
        if len(paths) == BATCH_HISTORIES:
            check(tool, checker, paths, keep)
            paths = []
    check(tool, checker, paths, keep)


def main():
    checker = (["--checker"], {"help": "varve_prove; beside the server when it is not named"})
    return common.Tool("linear", "linearizability across kill -9", 40, [checker]).main(run)


if __name__ == "__main__":
    raise SystemExit(main())
