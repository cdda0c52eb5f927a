#!/usr/bin/env python3
"""Sorted sets of different sizes side by side, on varve and on redis-server: what each operation costs in CPU time of the server.

Operations take turns over servers and sizes. Then a queue: pairs of ZADD and ZPOPMIN through sets that keep their size, cost by the
pairs that have gone through.
"""

import argparse
import random

from bench_common import add_server_arguments, cpu_seconds, new_context, numbers, varve_settings, write_json

SCORES = 10**9
BATCH = 100  # commands sent together


def parse_arguments():
    parser = argparse.ArgumentParser(description="sorted sets by size")
    parser.add_argument("--sizes", type=numbers, default=[1000, 1000000])
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--pairs", type=int, default=100000, help="through each queue, in five stretches")
    parser.add_argument("--queues", type=numbers, default=[10, 10000], help="sizes of the queues")
    add_server_arguments(parser)
    return parser.parse_args()


def operations(chance):
    """name -> a function of key and size that makes one command."""
    def member(size):
        return b"member:%d" % chance.randrange(size)

    def score():
        return b"%d" % chance.randrange(SCORES)

    def by_rank(key, size):
        first = chance.randrange(max(1, size - 10))
        return [b"ZRANGE", key, b"%d" % first, b"%d" % (first + 9)]

    return {
        "ZADD, new score": lambda key, size: [b"ZADD", key, score(), member(size)],
        "ZINCRBY": lambda key, size: [b"ZINCRBY", key, b"%d" % chance.randrange(-1000, 1000), member(size)],
        "ZSCORE": lambda key, size: [b"ZSCORE", key, member(size)],
        "ZRANK": lambda key, size: [b"ZRANK", key, member(size)],
        "ZCOUNT": lambda key, size: [b"ZCOUNT", key, score(), score()],
        "ZRANGE of 10 by rank": by_rank,
        "ZRANGEBYSCORE LIMIT 0 10": lambda key, size: [b"ZRANGEBYSCORE", key, score(), b"+inf", b"LIMIT", b"0", b"10"],
    }


def cost(server, client, commands):
    """CPU microseconds per command."""
    before = cpu_seconds(server.pid)
    for at in range(0, len(commands), BATCH):
        client.pipeline(commands[at:at + BATCH])
    return (cpu_seconds(server.pid) - before) / len(commands) * 1e6


def fill(client, key, size, chance):
    for begin in range(0, size, 1000):
        words = [b"ZADD", key]
        for i in range(begin, min(begin + 1000, size)):
            words += [b"%d" % chance.randrange(SCORES), b"member:%d" % i]
        client.ok(*words)


def measure_sizes(servers, options):
    chance = random.Random(5)
    clients = {name: server.client() for name, server in servers.items()}
    for client in clients.values():
        for size in options.sizes:
            fill(client, b"z%d" % size, size, chance)
    rows = {}
    for operation, make in operations(chance).items():
        for name, server in servers.items():
            for size in options.sizes:
                commands = [make(b"z%d" % size, size) for _ in range(options.requests)]
                rows.setdefault(operation, {})[f"{name} {size}"] = cost(server, clients[name], commands)
        print(f"{operation:26}" + "".join(f"  {column}: {us:7.1f} us" for column, us in rows[operation].items()), flush=True)
    return rows


def measure_queues(servers, options):
    rows = {}
    stretch = max(1, options.pairs // 5)
    for length in options.queues:
        for name, server in servers.items():
            client = server.client()
            key = b"queue:%d" % length
            client.pipeline([[b"ZADD", key, b"%d" % i, b"job:%d" % i] for i in range(length)])
            row = rows.setdefault(f"queue of {length}", {}).setdefault(name, [])
            for begin in range(length, length + 5 * stretch, stretch):
                commands = [c for i in range(begin, begin + stretch)
                            for c in ([b"ZADD", key, b"%d" % i, b"job:%d" % i], [b"ZPOPMIN", key])]
                row.append(cost(server, client, commands))
            print(f"queue of {length:6} on {name}: us per command " + " ".join(f"{us:.1f}" for us in row), flush=True)
    return rows


def main():
    options = parse_arguments()
    context = new_context(options)
    try:
        servers = {"varve": context.server(**varve_settings(options))}
        if options.redis_server:
            servers["redis"] = context.redis(appendonly="no")
        for server in servers.values():
            server.start()
        results = {"sizes": measure_sizes(servers, options), "queues": measure_queues(servers, options)}
        print(write_json(options, "sorted_sets", results))
    finally:
        context.close()


if __name__ == "__main__":
    main()
