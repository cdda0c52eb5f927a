#!/usr/bin/env python3
"""Hostile clients, before and after AUTH, while well-behaved ones measure how they are served.

usage: tests/prove/hostile.py [--seed N] [--count ATTACKS] [--seconds N] [--json FILE] [--server PATH] [--only KIND]

A round is one attack of ATTACKS for about a second. During it and after it must hold: the server lives and answers; its
resident memory stays below maxmemory + 10 %; its sockets and clients are those from before once the attackers are gone; its
other clients (a process of their own, quiet GETs and SETs of small values) have a 99th percentile of at most RATIO times
the undisturbed one measured right before, of which at least FLOOR_MS counts. That gate is a generous one: attackers need
the same two cores, and each of them has the millisecond of a turn that is everybody's; and a hiccup of the machine should
not fail a run, so an attack must miss it ATTEMPTS times in a row.
"""

import json
import os
import random
import resource
import select
import socket
import struct
import subprocess
import sys
import time

import common
from common import Violation
from harness import Client, ReplyError, encode

PASSWORD = "correct horse battery"
MAXMEMORY_MB = 96
ATTACK_S = 0.8
RATIO, FLOOR_MS, ATTEMPTS = 25, 4.0, 3
SETTLE_S = 10
BIG = 1 << 20


# ------------------------------------------------------------------------------------------------- well-behaved clients

def measure(port):
    """The other process: sends small commands in turn over four connections, and for each line of its input writes the
    latencies since the last one, in ms. A wrong reply ends it."""
    clients = [Client(port, timeout=60) for _ in range(4)]
    for client in clients:
        client.ok("AUTH", PASSWORD)
    times, turn = [], 0
    while True:
        if select.select([sys.stdin], [], [], 0.0005)[0]:
            if not sys.stdin.readline():
                return
            times.sort()
            report = {"count": len(times)}
            for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1)):
                report[name] = times[min(len(times) - 1, int(len(times) * part))] if times else 1e9
            print(json.dumps(report), flush=True)
            times = []
        client = clients[turn % 4]
        began = time.perf_counter()
        if turn % 3 == 0:
            good = client("SET", f"good:{turn % 100}", f"value {turn % 100}") == "OK"
        else:
            good = client("GET", f"good:{(turn - turn % 3) % 100}") in (None, b"value %d" % ((turn - turn % 3) % 100))
        times.append((time.perf_counter() - began) * 1000)
        if not good:
            sys.exit("a well-behaved client had a wrong reply")
        turn += 1


class Measurer:
    def __init__(self, port, processes):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "measure", str(port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(self.process)
        self.report()

    def report(self):
        """Latencies since the last report."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise Violation("a well-behaved client had a wrong reply or none")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(70)


# ------------------------------------------------------------------------------------------------------------- attackers

class Attack:
    """What an attacker may use: connections that never block, and the time it has."""

    def __init__(self, server, chance, authenticated, counters):
        self.server = server
        self.chance = chance
        self.authenticated = authenticated
        self.counters = counters
        self.sockets = []
        self.until = time.monotonic() + ATTACK_S

    def going(self):
        time.sleep(0.001)
        return time.monotonic() < self.until

    def connect(self, authenticated=None):
        s = socket.socket()
        self.sockets.append(s)
        s.settimeout(5)
        try:
            s.connect(("127.0.0.1", self.server.port))
            if self.authenticated if authenticated is None else authenticated:
                s.sendall(encode("AUTH", PASSWORD))
                s.recv(100)
        except OSError:
            self.counters.add("connections_refused")
        s.setblocking(False)
        self.counters.add("connections")
        return s

    def send(self, s, data):
        """Sends what the socket takes; -1 when the server has closed it."""
        try:
            return s.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.counters.add("connections_closed_by_server")
            return -1

    def pour(self, streams):
        """Sends bytes over and over, each (socket, bytes) from where it stopped, until the time is up; never reads."""
        streams = [[s, data, 0] for s, data in streams]
        while self.going() and streams:
            for stream in list(streams):
                s, data, at = stream
                sent = self.send(s, data[at : at + 65536])
                if sent < 0:
                    streams.remove(stream)
                else:
                    stream[2] = (at + sent) % len(data)
                    self.counters.add("bytes_sent", sent)

    def reset(self, s):
        """Closes with RST instead of FIN."""
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close(s)

    def close(self, s):
        s.close()
        self.sockets.remove(s)

    def end(self):
        for s in list(self.sockets):
            self.close(s)


def slow_senders(a):
    """One byte at a time, never a whole command."""
    request = encode("SET", "slow", "x" * 1000)
    streams = [[a.connect(), 0] for _ in range(300)]
    while a.going():
        for stream in streams:
            if stream[1] < len(request) - 1 and a.send(stream[0], request[stream[1] : stream[1] + 1]) == 1:
                stream[1] += 1


def half_requests(a):
    """Long arguments of which the end never comes: what was announced may not be reserved."""
    for _ in range(200):
        s = a.connect()
        a.send(s, b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$%d\r\n" % a.chance.choice([10_000, 1 << 20, 4 << 20]))
        a.send(s, b"x" * a.chance.choice([0, 1, 5000, 60000]))
    while a.going():
        pass


def storm(a):
    """Connect and close, connect and reset, without a word or with one."""
    while a.going():
        for _ in range(50):
            s = a.connect(authenticated=False)
            if a.chance.random() < 0.5:
                a.send(s, a.chance.choice([b"PING\r\n", b"*1\r\n$4\r\nPI", b"\r\n", encode("GET", "big:1") * 20]))
            (a.reset if a.chance.random() < 0.5 else a.close)(s)


def huge_lengths(a):
    """Lengths and counts at and beyond every limit."""
    numbers = [2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, 512 << 20, (512 << 20) + 1, -1, -2, -(2**63), 0,
               "+1", "-0", "007", " 1", "1 ", "", "0x10", "1e9", "\0"]
    while a.going():
        for _ in range(20):
            s = a.connect()
            number = str(a.chance.choice(numbers)).encode()
            form = a.chance.choice([b"*%b\r\n", b"*1\r\n$%b\r\n", b"*2\r\n$3\r\nGET\r\n$%b\r\n", b"*%b\r\n$4\r\nPING\r\n",
                                    b"*3\r\n$8\r\nSETRANGE\r\n$1\r\nx\r\n$%b\r\n"])
            a.send(s, form % number)
            a.send(s, b"x" * 100)
        for s in a.sockets[: max(0, len(a.sockets) - 300)]:
            a.close(s)


def huge_numbers(a):
    """Well-formed commands with numbers at the edges."""
    edges = [str(n) for n in (0, -1, 2**31, 2**29 - 1, 2**29, 2**32, 2**63 - 1, -(2**63), 2**63)] + ["1e308", "nan", "inf"]
    s = a.connect()
    while a.going():
        edge = a.chance.choice(edges)
        command = a.chance.choice([("SETRANGE", "edge", edge, "x"), ("GETRANGE", "big:1", edge, edge), ("SELECT", edge),
                                   ("INCRBY", "edge-n", edge), ("DECRBY", "edge-n", edge), ("INCRBYFLOAT", "edge-f", edge),
                                   ("SET", "edge-e", "x", "PX", edge), ("EXPIRE", "edge-e", edge),
                                   ("SCAN", edge, "COUNT", edge)])
        if a.send(s, encode(*command)) < 0:
            s = a.connect()
        try:
            s.recv(1 << 16)
        except OSError:
            pass


def garbage(a):
    """Bytes that are no commands: noise, NULs, HTTP, TLS, endless lines."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    while a.going():
        for _ in range(10):
            noise = a.chance.randbytes(a.chance.choice([1, 100, 5000]))
            forms = [noise, b"\0" * 3000, hello, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"A" * 70000,
                     b"\r\n" * 20000, b"*0\r\n" * 5000, b"*-1\r\n" * 5000, b"'\"\r\n", b"*1\r\n" + noise,
                     b"SET x \"\\x\r\n", encode(noise, noise), encode("\r\n+OK\r\n"), encode("HELLO", "3", noise)]
            s = a.connect()
            a.send(s, a.chance.choice(forms))
            if a.chance.random() < 0.5:
                a.close(s)


def unread_pipelines(a):
    """Deep pipelines of short commands whose replies nobody reads."""
    commands = [encode("PING") * 5000, encode("GET", "small") * 5000, encode("SET", "unread", "x") * 3000,
                encode("ECHO", "y" * 1000) * 200, encode("NOSUCHCOMMAND") * 3000]
    a.pour([(a.connect(), a.chance.choice(commands)) for _ in range(24)])


def growing_output(a):
    """Short commands with long replies that nobody reads."""
    commands = [encode("GET", "big:1") * 500, encode("MGET", *[f"big:{i}" for i in range(8)]) * 100, encode("KEYS", "*") * 50,
                encode("GETRANGE", "big:2", 0, -1) * 500, encode("COMMAND") * 100, encode("INFO", "everything") * 200,
                encode("SCAN", 0, "COUNT", 10000) * 50]
    a.pour([(a.connect(), a.chance.choice(commands)) for _ in range(24)])


def big_arguments(a):
    """Many clients that all send long values at once."""
    value = encode("SET", "huge", b"v" * (3 << 20))
    a.pour([(a.connect(), value) for _ in range(40)])


def many_arguments(a):
    """Commands with many arguments, whole and cut off."""
    whole = encode("MGET", *["k"] * 10_000)
    a.pour([(a.connect(), whole if i % 2 else whole[:-10]) for i in range(20)])


def wrong_passwords(a):
    sockets = [a.connect() for _ in range(50)]
    words = [encode("AUTH", "wrong"), encode("AUTH", "default", "x" * 1000), encode("AUTH", b"\0" * 100), encode("AUTH"),
             encode("HELLO", "3", "AUTH", "default", "wrong"), encode("AUTH", "y" * 200_000)]
    a.pour([(s, a.chance.choice(words) * 50) for s in sockets])


STRANGE = [("GET", "good:1"), ("MGET", "good:1", "good:2"), ("EXISTS", "good:1"), ("TYPE", "good:1"), ("TTL", "good:1"), ("SCAN", "0"),
           ("KEYS", "*"), ("RANDOMKEY",), ("DBSIZE",), ("STRLEN", "good:1"), ("SET", "good:1", "bad"), ("DEL", "good:1"), ("FLUSHALL",),
           ("SWAPDB", "0", "1"), ("INFO",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "requirepass", ""), ("CLIENT", "LIST"), ("SELECT", "1"),
           ("COMMAND",), ("DEBUG", "SLEEP", "0"), ("BGSAVE",), ("SHUTDOWN", "NOSAVE"), ("PING",), ("ECHO", "x"), ("TIME",)]


def strangers(a):
    """Who has not given the password is answered nothing but that."""
    with Client(a.server.port) as client:
        while a.going():
            words = a.chance.choice(STRANGE)
            reply = client(*words)
            if not str(reply).startswith("NOAUTH"):
                raise Violation(f"{' '.join(words)} without the password: {str(reply)[:100]}")
            a.counters.add("strangers_refused")


def thousands(a):
    """Thousands of connections, each with one command, held open."""
    for _ in range(4000):
        s = a.connect(authenticated=False)
        a.send(s, encode("PING"))
    a.until = max(a.until, time.monotonic() + 0.2)
    while a.going():
        pass


def resets(a):
    """RST in the middle of a command, of a reply, of a stream."""
    while a.going():
        for _ in range(20):
            s = a.connect()
            data = a.chance.choice([encode("SET", "cut", b"c" * 100_000), encode("GET", "big:3") * 3, encode("KEYS", "*"),
                                    encode("MSET", *["m", "1"] * 500), encode("SET", "cut:2", "x") * 100])
            a.send(s, data[: a.chance.randrange(1, len(data) + 1)])
            if a.chance.random() < 0.3:
                time.sleep(0.001)
            a.reset(s)


def patterns(a):
    """Patterns that explode where they are matched by trying everything."""
    bomb = "a*" * 60 + "b"
    a.pour([(a.connect(), encode(*words) * 20) for words in
            [("KEYS", bomb), ("SCAN", "0", "MATCH", bomb, "COUNT", "10000"), ("KEYS", "*" * 500), ("KEYS", "[" * 500),
             ("SCAN", "0", "MATCH", "?" * 1000 + "*")] * 3])


ATTACKS = {f.__name__: f for f in (slow_senders, half_requests, storm, huge_lengths, huge_numbers, garbage, unread_pipelines,
                                   growing_output, big_arguments, many_arguments, wrong_passwords, strangers, thousands, resets, patterns)}


# ---------------------------------------------------------------------------------------------------------------- rounds

class Target:
    """The server under attack and what it was like before."""

    def __init__(self, tool, seed):
        self.tool = tool
        self.seed = seed
        self.chance = random.Random(seed)
        self.context = tool.context()
        self.server = self.context.server(requirepass=PASSWORD, maxmemory=f"{MAXMEMORY_MB}mb", debug_random_miss="0").start()
        self.admin = self.server.client()
        self.admin.ok("AUTH", PASSWORD)
        self.fill()
        self.measurer = Measurer(self.server.port, self.context.processes)
        self.admin.ok("PING")
        self.sockets = self.open_sockets()
        self.clients = int(self.admin.info("clients")["connected_clients"])

    def fill(self):
        for i in range(8):
            self.admin.ok("SET", f"big:{i}", b"B" * BIG)
        self.admin.ok("SET", "small", "s")
        for start in range(0, 20000, 1000):
            self.admin.pipeline([("SET", f"{'a' * 40}:{i}", "x" * 50) for i in range(start, start + 1000)])

    def open_sockets(self):
        names = []
        for fd in os.listdir(f"/proc/{self.server.pid}/fd"):
            try:
                names.append(os.readlink(f"/proc/{self.server.pid}/fd/{fd}"))
            except OSError:
                pass
        return sum(name.startswith("socket:") for name in names)

    def quiet(self):
        """The undisturbed 99th percentile, in ms."""
        self.measurer.report()
        time.sleep(0.5)
        return self.measurer.report()["p99"]

    def attack(self, kind, authenticated):
        """One attack; (undisturbed p99, p99 during it)."""
        quiet = self.quiet()
        attack = Attack(self.server, self.chance, authenticated, self.tool.counters)
        try:
            ATTACKS[kind](attack)
            self.check_memory(kind)
            disturbed = self.measurer.report()
            self.check_memory(kind)
        finally:
            attack.end()
        self.check_settled(kind)
        self.tool.counters.add("measured_operations", disturbed["count"])
        return quiet, disturbed["p99"]

    def check_memory(self, kind):
        if self.server.process.poll() is not None:
            raise Violation(f"{kind}: the server ended with code {self.server.process.returncode}: {self.server.log_tail(5)}")
        with open(f"/proc/{self.server.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        # The peak of all that is resident, less the file pages of now (the program itself; tables are not mapped).
        peak = (int(fields["VmHWM"].split()[0]) - int(fields["RssFile"].split()[0])) * 1024
        self.peak = max(peak, self.server.resident_bytes())
        if self.peak > MAXMEMORY_MB * 1.1 * (1 << 20):
            raise Violation(f"{kind}: {self.peak >> 20} MB resident with maxmemory {MAXMEMORY_MB} MB")
        self.check_accounts(kind)

    def check_accounts(self, kind):
        """What the server holds for a client is charged to that client."""
        for line in self.admin.ok("CLIENT", "LIST").decode().splitlines():
            client = dict(field.split("=", 1) for field in line.split())
            if int(client["tot-mem"]) < int(client["omem"]) + int(client["qbuf"]):
                raise Violation(f"{kind}: a client is charged less than it holds: {line}")
            self.tool.counters.add("accounts_checked")

    def check_settled(self, kind):
        """Sockets and clients return to what they were."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            sockets, clients = self.open_sockets(), int(self.admin.info("clients")["connected_clients"])
            if sockets <= self.sockets and clients <= self.clients:
                return
            if time.monotonic() > deadline:
                raise Violation(f"{kind}: {sockets} sockets and {clients} clients {SETTLE_S} s after the attack, before it "
                                f"{self.sockets} and {self.clients}")
            time.sleep(0.02)

    def round(self, kind, authenticated):
        slow = []
        for _ in range(ATTEMPTS):
            quiet, disturbed = self.attack(kind, authenticated)
            self.tool.say(f"{kind} {'after' if authenticated else 'before'} AUTH: p99 {quiet:.2f} -> {disturbed:.2f} ms, "
                          f"{self.peak >> 20} MB")
            if disturbed <= RATIO * max(quiet, FLOOR_MS):
                self.tool.counters.add(f"attack:{kind}")
                self.tool.counters.add("attacks_after_auth" if authenticated else "attacks_before_auth")
                return
            slow.append(f"{quiet:.2f} -> {disturbed:.2f}")
        raise Violation(f"{kind}: the p99 of others rose above {RATIO} times the undisturbed one, in ms: {', '.join(slow)}")

    def close(self):
        """After all of it the data is right and the end is a clean one."""
        for i in range(8):
            if self.admin.ok("GET", f"big:{i}") != b"B" * BIG:
                raise Violation(f"big:{i} has changed")
        self.measurer.close()
        self.server.stop()


def run(tool):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seed = tool.options.seed
    while tool.go_on():
        rounds = [(kind, authenticated) for kind in ATTACKS for authenticated in (False, True)
                  if tool.options.only in (None, kind)]
        random.Random(seed).shuffle(rounds)
        target, now = Target(tool, seed), "start"
        try:
            for kind, authenticated in rounds:
                if not tool.go_on():
                    break
                now = kind
                target.round(kind, authenticated)
                tool.rounds += 1
            now = "end"
            target.close()
        except (Violation, AssertionError, OSError) as error:
            tool.say(target.server.log_tail())
            only = ["--only", now] if now in ATTACKS else []
            tool.counters.violation(f"seed {seed}, {now}: {error}", tool.again(seed, len(rounds), *only))
        finally:
            tool.close_context(target.context)
        seed += 1


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "measure":
        return measure(int(sys.argv[2]))
    only = (["--only"], {"choices": sorted(ATTACKS), "help": "this kind of attack"})
    return common.Tool("hostile", "hostile clients", 2 * len(ATTACKS), [only]).main(run)


if __name__ == "__main__":
    raise SystemExit(main())
