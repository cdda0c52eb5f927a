#!/usr/bin/env python3
"""varve beside redis-server (no persistence, everysec, always) through redis-benchmark, in one interleaved run.

Every case (operation, clients, pipeline) runs on all servers one after the other, in an order that turns with each round, so
that a noisy minute of the machine meets all of them; the table shows medians over the rounds. CPU time per request is the
server process's own, all threads, from /proc/PID/stat. Keys are drawn from a set that was loaded whole before.
"""

import argparse
import statistics
import sys

from bench_common import (add_server_arguments, benchmark, cpu_seconds, load, new_context, numbers, plot, varve_settings, words,
                          write_json)

# What redis-benchmark runs when it is not told what.
SUITE = ["ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop", "zadd", "zpopmin",
         "lrange_100", "lrange_300", "lrange_500", "lrange_600", "mset"]


def parse_arguments():
    parser = argparse.ArgumentParser(description="varve beside redis-server, as ratios")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=numbers, default=[50, 200])
    parser.add_argument("--pipelines", type=numbers, default=[1, 16, 64])
    parser.add_argument("--operations", type=words, default=["set", "get"], help="of redis-benchmark's; suite: all of its default ones")
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--value-size", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100000, help="of a run at pipeline 1; deeper ones take up to 5 times as many")
    parser.add_argument("--threads", type=int, default=0, help="of redis-benchmark; 0: its single-threaded loop")
    parser.add_argument("--against", type=words, default=["none", "everysec", "always"], help="which redis-servers")
    add_server_arguments(parser)
    options = parser.parse_args()
    if options.operations == ["suite"]:
        options.operations = SUITE
    return options


def start_servers(context, options):
    """{name: server}, varve first, all holding the same keys."""
    servers = {"varve": context.server(**varve_settings(options))}
    for mode in options.against:
        if mode == "none":
            servers["redis none"] = context.redis(appendonly="no")
        else:
            servers["redis " + mode] = context.redis(appendonly="yes", appendfsync=mode)
    for server in servers.values():
        server.start()
        print("  " + " ".join(server.command_line()))
        load(server, options.keys, options.value_size)
    return servers


def run_once(server, options, operation, clients, pipeline):
    """(requests per second, CPU microseconds per request, p99 in milliseconds)."""
    requests = options.requests * min(5, max(1, pipeline // 4))
    before = cpu_seconds(server.pid)
    rate, _, p99 = benchmark(server.port, operation, clients, pipeline, requests, options.keys, options.value_size, options.threads)
    return rate, (cpu_seconds(server.pid) - before) / requests * 1e6, p99


def spread(runs, other):
    """The smallest and largest ratio of a single round."""
    ratios = [mine[0] / theirs[0] for mine, theirs in zip(runs["varve"], runs[other])]
    return f"({min(ratios):.2f}-{max(ratios):.2f})"


def print_table(options, names, results):
    medians = {case: {name: [statistics.median(column) for column in zip(*runs[name])] for name in names}
               for case, runs in results.items()}
    others = names[1:]
    print(f"\nvalues of {options.value_size} bytes, {options.keys} keys, varve with appendfsync {options.appendfsync}, "
          f"medians of {options.rounds} rounds\n")
    width = max(19, max(len(name) for name in names) + 2)

    def line(first, cells):
        print(f"{first:<36}" + "".join(f"{cell:>{width}}" for cell in cells))

    print("requests per second (thousands)")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][0] / 1000:.1f}" for name in names])
    print("\nvarve's throughput / the other's (above 1: varve is faster), and how far single rounds were from it")
    line("", others)
    for case, row in medians.items():
        line(case, [f"{row['varve'][0] / row[name][0]:.2f}x {spread(results[case], name)}" for name in others])
    if len(medians) > 1:
        ratios = {name: [row["varve"][0] / row[name][0] for row in medians.values()] for name in others}
        line("least", [f"{min(column):.2f}x" for column in ratios.values()])
        line("median", [f"{statistics.median(column):.2f}x" for column in ratios.values()])
    print("\nserver CPU, microseconds per request")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][1]:.2f}" for name in names])
    print("\np99 latency, milliseconds")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][2]:.2f}" for name in names])
    return medians


def main():
    options = parse_arguments()
    context = new_context(options)
    try:
        servers = start_servers(context, options)
        names = list(servers)
        cases = [(operation, clients, pipeline) for operation in options.operations for clients in options.clients
                 for pipeline in options.pipelines]
        results = {}
        for turn in range(options.rounds):
            for operation, clients, pipeline in cases:
                case = f"{operation.upper()} {clients} clients, pipeline {pipeline}"
                order = names[turn % len(names):] + names[: turn % len(names)]
                for name in order:
                    figures = run_once(servers[name], options, operation, clients, pipeline)
                    results.setdefault(case, {}).setdefault(name, []).append(figures)
                if sys.stderr.isatty():
                    print(f"\rround {turn + 1} of {options.rounds}: {case}      ", end="", file=sys.stderr, flush=True)
        medians = print_table(options, names, results)
        print("\n" + write_json(options, "redis", {"settings": vars(options), "runs": results}))
        print(plot(options, "redis", "varve / redis-server", "case", "ratio", {
            name: [(i, row["varve"][0] / row[name][0]) for i, row in enumerate(medians.values())] for name in names[1:]}, ""))
    finally:
        context.close()


if __name__ == "__main__":
    main()
