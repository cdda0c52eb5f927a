#!/usr/bin/env python3
"""varve beside redis-server (no persistence, everysec, always) through redis-benchmark, in one interleaved run.

Every case (operation, clients, pipeline) runs on all servers one after the other, in an order that turns with each round, so
that a noisy minute of the machine meets all of them; the table shows medians over the rounds. CPU time per request is the
server process's own, all threads, from /proc/PID/stat. Keys are drawn from a set that was loaded whole before.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "server"))

from harness import Context, check, encode  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def parse_arguments():
    numbers = lambda text: [int(word) for word in text.split(",")]  # noqa: E731
    words = lambda text: text.split(",")  # noqa: E731
    parser = argparse.ArgumentParser(description="varve beside redis-server, as ratios")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=numbers, default=[50, 200])
    parser.add_argument("--pipelines", type=numbers, default=[1, 16, 64])
    parser.add_argument("--operations", type=words, default=["set", "get"])
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--value-size", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100000, help="of a run at pipeline 1; deeper ones take up to 5 times as many")
    parser.add_argument("--threads", type=int, default=0, help="of redis-benchmark; 0: its single-threaded loop")
    parser.add_argument("--appendfsync", default="always", help="varve's setting")
    parser.add_argument("--against", type=words, default=["none", "everysec", "always"], help="which redis-servers")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="a setting of varve's")
    parser.add_argument("--server", default=os.path.join(ROOT, "build", "varve-server"))
    parser.add_argument("--conf", default=os.path.join(ROOT, "conf", "varve.conf"))
    parser.add_argument("--redis-server", default=shutil.which("redis-server"))
    return parser.parse_args()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def start_servers(context, options):
    """{name: server}, varve first, all holding the same keys."""
    settings = dict(word.split("=", 1) for word in options.setting)
    settings = {"maxmemory": "0", "debug_random_miss": "0"} | {k.replace("-", "_"): v for k, v in settings.items()}
    servers = {"varve": context.server(appendfsync=options.appendfsync, **settings)}
    for mode in options.against:
        if mode == "none":
            servers["redis none"] = context.redis(appendonly="no")
        else:
            servers["redis " + mode] = context.redis(appendonly="yes", appendfsync=mode)
    value = b"x" * options.value_size
    for name, server in servers.items():
        server.start()
        with subprocess.Popen(["redis-cli", "-p", str(server.port), "--pipe"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as loader:
            for start in range(0, options.keys, 1000):
                end = min(start + 1000, options.keys)
                loader.stdin.write(b"".join(encode("SET", b"key:%012d" % i, value) for i in range(start, end)))
            loader.stdin.close()
            said = loader.stdout.read().decode()
        check("errors: 0" in said, f"loading {name}: {said}")
    return servers


def run_once(server, options, operation, clients, pipeline):
    """(requests per second, CPU microseconds per request, p99 in milliseconds)."""
    requests = options.requests * min(5, max(1, pipeline // 4))
    words = ["redis-benchmark", "-p", str(server.port), "-t", operation, "-c", str(clients), "-P", str(pipeline), "-n",
             str(requests), "-d", str(options.value_size), "-r", str(options.keys), "--csv"]
    if options.threads:
        words += ["--threads", str(options.threads)]
    before = cpu_seconds(server.pid)
    out = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    spent = cpu_seconds(server.pid) - before
    rows = list(csv.DictReader(out.splitlines()))
    return float(rows[0]["rps"]), spent / requests * 1e6, float(rows[0]["p99_latency_ms"])


def print_table(options, names, results):
    medians = {case: {name: [statistics.median(column) for column in zip(*runs[name])] for name in names}
               for case, runs in results.items()}
    others = names[1:]
    print(f"\nvalues of {options.value_size} bytes, {options.keys} keys, varve with appendfsync {options.appendfsync}, "
          f"medians of {options.rounds} rounds\n")
    width = max(len(name) for name in names) + 2

    def line(first, cells):
        print(f"{first:<28}" + "".join(f"{cell:>{width}}" for cell in cells))

    print("requests per second (thousands)")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][0] / 1000:.1f}" for name in names])
    print("\nvarve's throughput / the other's (above 1: varve is faster)")
    line("", others)
    for case, row in medians.items():
        line(case, [f"{row['varve'][0] / row[name][0]:.2f}x" for name in others])
    print("\nserver CPU, microseconds per request")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][1]:.2f}" for name in names])
    print("\np99 latency, milliseconds")
    line("", names)
    for case, row in medians.items():
        line(case, [f"{row[name][2]:.2f}" for name in names])


def main():
    options = parse_arguments()
    context = Context(types.SimpleNamespace(against="varve", server=options.server, conf=options.conf,
                                            redis_server=options.redis_server))
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
        print_table(options, names, results)
    finally:
        context.close()


if __name__ == "__main__":
    main()
