#!/usr/bin/env python3
"""One hash, list, set and sorted set at different sizes, side by side: what each operation costs at a thousand elements and at a
million, or at ten million when they do not fit into memory (--sizes 1000,10000000).

For each operation and size: requests a second in a pipeline, the server's CPU time for a request, the blocks varve read for it (from
the device, if the memory cgroup leaves the page cache no room), and what a client sees that sends one request at a time. Then how
long a client waits for DEL, UNLINK, RENAME and an overwriting SET of each; and queues: pairs of push and pop through collections
that keep their size, cost by the pairs that have gone through.
"""

import argparse
import os
import random
import statistics
import threading
import time

from bench_common import add_server_arguments, cpu_seconds, feed, new_context, numbers, varve_settings, words, write_json
from harness import check, encode
from test_memory import Cgroup

SCORES = 10**9
IN_FLIGHT = 3  # batches of a pipeline under way
LOADED = 200  # elements a loading command brings
POOL = random.Random(7).randbytes(1 << 15).hex().encode()  # values that do not compress to nothing


def parse_arguments():
    parser = argparse.ArgumentParser(description="collections by size")
    parser.add_argument("--sizes", type=numbers, default=[1000, 1000000])
    parser.add_argument("--types", type=words, default=["hash", "list", "set", "zset"])
    parser.add_argument("--requests", type=int, default=20000, help="of each operation, in a pipeline")
    parser.add_argument("--singles", type=int, default=300, help="of each operation, one at a time")
    parser.add_argument("--batch", type=int, default=100, help="commands sent together")
    parser.add_argument("--value-size", type=int, default=50)
    parser.add_argument("--maxmemory-mb", type=int, default=256, help="of varve")
    parser.add_argument("--pairs", type=int, default=100000, help="through each queue, in five stretches")
    parser.add_argument("--queues", type=numbers, default=[10, 10000], help="sizes of the queues")
    add_server_arguments(parser)
    return parser.parse_args()


class Kind:
    """A type: how it is loaded, and its operations. Those that change the size come with what changes it back."""

    def __init__(self, name, value_size):
        self.name = name
        self.value_size = value_size
        self.chance = random.Random(5)
        self.fresh = 0
        self.operations = getattr(self, name)()

    def load_words(self, key, begin, end):
        """One command with the elements from begin to end."""
        if self.name == "hash":
            elements = [b"$15\r\nmember:%08d\r\n$%d\r\n%s\r\n" % (i, self.value_size, self.value(i)) for i in range(begin, end)]
            head, count = b"$4\r\nHSET", 2 * (end - begin)
        elif self.name == "list":
            elements = [b"$%d\r\n%s\r\n" % (self.value_size, self.value(i)) for i in range(begin, end)]
            head, count = b"$5\r\nRPUSH", end - begin
        elif self.name == "set":
            elements = [b"$15\r\nmember:%08d\r\n" % i for i in range(begin, end)]
            head, count = b"$4\r\nSADD", end - begin
        else:
            draw = self.chance.random
            elements = [b"$9\r\n%09d\r\n$15\r\nmember:%08d\r\n" % (draw() * SCORES, i) for i in range(begin, end)]
            head, count = b"$4\r\nZADD", 2 * (end - begin)
        return b"*%d\r\n%s\r\n$%d\r\n%s\r\n" % (count + 2, head, len(key), key) + b"".join(elements)

    def value(self, i):
        at = i * 7919 % (len(POOL) - self.value_size)
        return POOL[at:at + self.value_size]

    def member(self, size):
        return b"member:%08d" % self.chance.randrange(size)

    def new_member(self):
        self.fresh += 1
        return b"fresh:%09d" % self.fresh

    def index(self, size):
        return self.chance.randrange(max(1, size - 10))

    def score(self):
        return b"%09d" % self.chance.randrange(SCORES)

    def any_value(self):
        return self.value(self.chance.randrange(1 << 20))

    def cursor(self):
        # Redis counts the reversed bits of a bucket, varve the hash: any number is a place for both.
        return b"%d" % self.chance.randrange(1 << 32)

    # Each operation: a function of key and size that makes its commands.

    def hash(self):
        def new(key, _):
            member = self.new_member()
            return [(b"HSET", key, member, self.any_value()), (b"HDEL", key, member)]

        def again(key, size):
            member = self.member(size)
            return [(b"HDEL", key, member), (b"HSET", key, member, self.any_value())]

        return {
            "HSET new, HDEL": new,
            "HSET overwrite": lambda key, size: [(b"HSET", key, self.member(size), self.any_value())],
            "HGET": lambda key, size: [(b"HGET", key, self.member(size))],
            "HDEL, HSET back": again,
            "HINCRBY": lambda key, size: [(b"HINCRBY", key, b"count:%d" % self.chance.randrange(100), b"1")],
            "HLEN": lambda key, size: [(b"HLEN", key)],
            "HEXISTS": lambda key, size: [(b"HEXISTS", key, self.member(2 * size))],
            "HRANDFIELD": lambda key, size: [(b"HRANDFIELD", key)],
            "HSCAN step": lambda key, size: [(b"HSCAN", key, self.cursor())],
        }

    def list(self):
        def capped(key, _):
            return [(b"RPUSH", key, self.any_value()), (b"LTRIM", key, b"1", b"-1")]

        def slice_of_ten(key, size):
            first = self.index(size)
            return [(b"LRANGE", key, b"%d" % first, b"%d" % (first + 9))]

        return {
            "LPUSH, RPOP": lambda key, size: [(b"LPUSH", key, self.any_value()), (b"RPOP", key)],
            "LINDEX random": lambda key, size: [(b"LINDEX", key, b"%d" % self.index(size))],
            "LINDEX ends": lambda key, size: [(b"LINDEX", key, self.chance.choice([b"0", b"-1"]))],
            "LRANGE of 10": slice_of_ten,
            "LSET": lambda key, size: [(b"LSET", key, b"%d" % self.index(size), self.any_value())],
            "LLEN": lambda key, size: [(b"LLEN", key)],
            "RPUSH, LTRIM 1 -1": capped,
        }

    def set(self):
        def new(key, _):
            member = self.new_member()
            return [(b"SADD", key, member), (b"SREM", key, member)]

        def again(key, size):
            member = self.member(size)
            return [(b"SREM", key, member), (b"SADD", key, member)]

        return {
            "SADD new, SREM": new,
            "SREM, SADD back": again,
            "SISMEMBER": lambda key, size: [(b"SISMEMBER", key, self.member(2 * size))],
            "SRANDMEMBER": lambda key, size: [(b"SRANDMEMBER", key)],
            "SCARD": lambda key, size: [(b"SCARD", key)],
            "SSCAN step": lambda key, size: [(b"SSCAN", key, self.cursor())],
            "SADD new, SPOP": lambda key, size: [(b"SADD", key, self.new_member()), (b"SPOP", key)],
        }

    def zset(self):
        def again(key, size):
            member = self.member(size)
            return [(b"ZREM", key, member), (b"ZADD", key, self.score(), member)]

        def by_rank(key, size):
            first = self.index(size)
            return [(b"ZRANGE", key, b"%d" % first, b"%d" % (first + 9))]

        def by_score(key, _):
            return [(b"ZRANGE", key, self.score(), b"+inf", b"BYSCORE", b"LIMIT", b"0", b"10")]

        def queue(key, _):
            return [(b"ZADD", key, self.score(), self.new_member()), (b"ZPOPMIN", key)]

        return {
            "ZADD, new score": lambda key, size: [(b"ZADD", key, self.score(), self.member(size))],
            "ZREM, ZADD back": again,
            "ZSCORE": lambda key, size: [(b"ZSCORE", key, self.member(size))],
            "ZINCRBY": lambda key, size: [(b"ZINCRBY", key, b"%d" % self.chance.randrange(-1000, 1000), self.member(size))],
            "ZRANK": lambda key, size: [(b"ZRANK", key, self.member(size))],
            "ZCOUNT": lambda key, size: [(b"ZCOUNT", key, self.score(), self.score())],
            "ZRANGE of 10 by rank": by_rank,
            "ZRANGE of 10 by score": by_score,
            "ZCARD": lambda key, size: [(b"ZCARD", key)],
            "ZSCAN step": lambda key, size: [(b"ZSCAN", key, self.cursor())],
            "ZADD new, ZPOPMIN": queue,
        }


class Watched:
    """A server under measurement: its clients, and the most memory it held."""

    def __init__(self, server):
        self.server = server
        self.clients = [server.client(timeout=600) for _ in range(IN_FLIGHT)]
        self.peak = 0
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def watch(self):
        while not self.over.wait(0.1):
            self.peak = max(self.peak, self.server.resident_bytes())

    def close(self):
        self.over.set()
        self.watcher.join()

    def lsm(self):
        """Counters of varve's engine; nothing on redis-server."""
        info = self.clients[0].info("lsm")
        return {name: int(value) for name, value in info.items() if value.isdigit()}

    def blocks_read(self):
        counts = self.lsm()
        return counts.get("block_reads", 0) + counts.get("block_reads_nowait", 0)

    def settle(self):
        """Until compaction has caught up, at most half a minute: what it does is not the next operation's."""
        for _ in range(300):
            counts = self.lsm()
            if not any(counts.get(name) for name in ("flush_running", "compactions_running", "pending_compaction_bytes")):
                return
            time.sleep(0.1)


def load(watched, kind, key, size):
    """Elements a second."""
    if size <= LOADED:
        watched.clients[0].send(kind.load_words(key, 0, size))
        return watched.clients[0].receive()
    began = time.perf_counter()
    feed(watched.server, (kind.load_words(key, begin, min(begin + LOADED, size)) for begin in range(0, size, LOADED)))
    return size / (time.perf_counter() - began)


def run_batches(clients, commands, size):
    """Sends the commands in batches, one under way on each connection. A mark behind each batch tells its end without parsing."""
    mark = encode("ECHO", "the end of a batch")
    end = b"$18\r\nthe end of a batch\r\n"

    def finish(client):
        data = b""
        while not data.endswith(end):
            some = client.socket.recv(1 << 20)
            check(some, "the server closed the connection")
            data += some
        check(data[:1] != b"-" and b"\r\n-" not in data, f"an error reply: {data[:200]}")

    batches = [b"".join(commands[at:at + size]) + mark for at in range(0, len(commands), size)]
    for i, batch in enumerate(batches):
        if i >= len(clients):
            finish(clients[i % len(clients)])
        clients[i % len(clients)].send(batch)
    for i in range(max(0, len(batches) - len(clients)), len(batches)):
        finish(clients[i % len(clients)])


def measure(watched, options, make, key, size):
    """Figures of one operation; the CPU time and the blocks are of one command."""
    commands = [encode(*command) for _ in range(options.requests) for command in make(key, size)][:options.requests]
    watched.settle()
    blocks, cpu, began = watched.blocks_read(), cpu_seconds(watched.server.pid), time.perf_counter()
    run_batches(watched.clients, commands, options.batch)
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(watched.server.pid) - cpu
    blocks = watched.blocks_read() - blocks
    taken = []
    for command in [command for _ in range(options.singles) for command in make(key, size)][:options.singles]:
        at = time.perf_counter()
        watched.clients[0].ok(*command)
        taken.append((time.perf_counter() - at) * 1e6)
    taken.sort()
    return {"rate": len(commands) / seconds, "cpu_us": cpu / len(commands) * 1e6, "blocks": blocks / len(commands),
            "p50_us": taken[len(taken) // 2], "p99_us": taken[len(taken) * 99 // 100]}


def measure_operations(watched, options, kind, results):
    table = results.setdefault(kind.name, {})
    for size in options.sizes:
        for name, one in watched.items():
            rate = load(one, kind, b"%s:%d" % (kind.name.encode(), size), size)
            table.setdefault("load", {}).setdefault(name, {})[size] = {"rate": rate}
            print(f"{kind.name} of {size}, {name}: loaded {rate / 1000:.0f} k elements/s", flush=True)
    print(f"{'':30}" + "".join(f"{size:>14,}: k/s  CPU us  blocks   p50   p99 us" for size in options.sizes))
    for operation, make in kind.operations.items():
        for name, one in watched.items():
            row = {size: measure(one, options, make, b"%s:%d" % (kind.name.encode(), size), size) for size in options.sizes}
            table.setdefault(operation, {})[name] = row
            print(f"{operation:22} {name:7}" + "".join(
                f"{f['rate'] / 1000:20.1f} {f['cpu_us']:7.1f} {f['blocks']:7.2f} {f['p50_us']:5.0f} {f['p99_us']:8.0f}"
                for f in row.values()), flush=True)


def measure_removals(watched, options, kind, results):
    """Milliseconds a client waits for the end of a whole collection, beside that of one with a single element."""
    for name, one in watched.items():
        client = one.clients[0]
        for ending in ("RENAME", "DEL", "UNLINK", "SET"):
            row = results.setdefault(f"{ending} of a {kind.name}", {}).setdefault(name, {})
            for size in [1] + options.sizes:
                key = b"%s:%d" % (kind.name.encode(), size)
                taken = []
                for _ in range(20 if size == 1 else 1):
                    if not client.ok("EXISTS", key):
                        load(one, kind, key, size)
                        if size > 1:
                            one.settle()
                    words_ = [ending, key] + {"RENAME": [b"renamed"], "SET": [b"value"]}.get(ending, [])
                    at = time.perf_counter()
                    client.ok(*words_)
                    taken.append((time.perf_counter() - at) * 1e3)
                    if ending == "RENAME":
                        client.ok("RENAME", b"renamed", key)
                    elif ending == "SET":
                        client.ok("DEL", key)
                row[size] = statistics.median(taken)
            print(f"{ending + ' of a ' + kind.name:22} {name:7}" + "".join(f"{size:>14,}: {ms:8.2f} ms" for size, ms in row.items()),
                  flush=True)


def measure_queues(watched, options, results):
    def push(kind, key, i):
        return [(b"LPUSH", key, kind.value(i)) if kind.name == "list" else
                (b"SADD", key, b"job:%d" % i) if kind.name == "set" else (b"ZADD", key, b"%d" % i, b"job:%d" % i)]

    stretch = max(1, options.pairs // 5)
    for kind_name, pop in (("list", b"RPOP"), ("set", b"SPOP"), ("zset", b"ZPOPMIN")):
        kind = Kind(kind_name, options.value_size)
        for length in options.queues:
            for name, one in watched.items():
                key = b"queue:%s:%d" % (kind_name.encode(), length)
                run_batches(one.clients[:1], [encode(*c) for i in range(length) for c in push(kind, key, i)], options.batch)
                row = results.setdefault(f"{kind_name} queue of {length}", {}).setdefault(name, [])
                for begin in range(length, length + 5 * stretch, stretch):
                    commands = [encode(*c) for i in range(begin, begin + stretch) for c in push(kind, key, i) + [(pop, key)]]
                    cpu, began = cpu_seconds(one.server.pid), time.perf_counter()
                    run_batches(one.clients, commands, options.batch)
                    seconds = time.perf_counter() - began
                    cpu = cpu_seconds(one.server.pid) - cpu
                    row.append({"rate": len(commands) / seconds, "cpu_us": cpu / len(commands) * 1e6})
                print(f"{kind_name} queue of {length:<7} {name:7} us CPU a command: " + " ".join(f"{f['cpu_us']:5.1f}" for f in row)
                      + "   k/s: " + " ".join(f"{f['rate'] / 1000:5.0f}" for f in row), flush=True)


def main():
    options = parse_arguments()
    context = new_context(options)
    results = {"operations": {}, "removals": {}, "queues": {}}
    try:
        limit = options.maxmemory_mb << 20
        group = Cgroup.create(f"varve-bench-{os.getpid()}", limit * 5 // 4)
        if group is None:
            print("no memory cgroup to be had: the page cache serves what varve reads")
        else:
            context.cleanups.append(group.remove)
        servers = {"varve": context.server(**varve_settings(options) | {"maxmemory": str(limit)})}
        servers["varve"].start(before=group.enter if group else None)
        if options.redis_server:
            servers["redis"] = context.redis(appendonly="no").start()
        watched = {name: Watched(server) for name, server in servers.items()}
        for name in options.types:
            kind = Kind(name, options.value_size)
            measure_operations(watched, options, kind, results["operations"])
            measure_removals(watched, options, kind, results["removals"])
        measure_queues(watched, options, results["queues"])
        for one in watched.values():
            one.close()
        results["resident_bytes"] = {name: one.peak for name, one in watched.items()}
        print("most resident memory: " + ", ".join(f"{name} {one.peak / (1 << 20):.0f} MB" for name, one in watched.items()))
        print(write_json(options, "collections", {"settings": vars(options), "results": results}))
    finally:
        context.close()


if __name__ == "__main__":
    main()
