#!/usr/bin/env python3
"""What an operation costs as the data and the number of connections grow: server CPU per request and throughput of varve at
1 thousand, 1 million, ... keys, and at 1, 100, 1,000 and 10,000 connections, as a table, JSON and plots.

One server grows through all sizes; redis-server may stand beside it (--against none) up to --redis-keys-max, since it keeps
everything in memory.
"""

import argparse
import resource

from bench_common import (add_server_arguments, benchmark, cpu_seconds, load, new_context, numbers, plot, varve_settings, words,
                          write_json)


def parse_arguments():
    parser = argparse.ArgumentParser(description="cost per operation against keys and connections")
    parser.add_argument("--keys", type=numbers, default=[1000, 100000, 1000000, 10000000])
    parser.add_argument("--connections", type=numbers, default=[1, 100, 1000, 10000])
    parser.add_argument("--operations", type=words, default=["set", "get"])
    parser.add_argument("--pipeline", type=int, default=16)
    parser.add_argument("--value-size", type=int, default=100)
    parser.add_argument("--requests", type=int, default=400000)
    parser.add_argument("--against", type=words, default=["none"], help="none, or nothing: no redis-server")
    parser.add_argument("--redis-keys-max", type=int, default=10000000)
    add_server_arguments(parser)
    return parser.parse_args()


def measure(server, options, operation, clients, keys, requests):
    before = cpu_seconds(server.pid)
    rate, p50, p99 = benchmark(server.port, operation, clients, options.pipeline, requests, keys, options.value_size)
    cpu = (cpu_seconds(server.pid) - before) / requests * 1e6
    return {"rate": rate, "cpu_us": cpu, "p50_ms": p50, "p99_ms": p99}


def grow(servers, options, results):
    loaded = dict.fromkeys(servers, 0)
    for keys in options.keys:
        for name, server in servers.items():
            if name != "varve" and keys > options.redis_keys_max:
                continue
            load(server, keys, options.value_size, loaded[name])
            loaded[name] = keys
        for operation in options.operations:
            for name, server in servers.items():
                if loaded[name] == keys:
                    figures = measure(server, options, operation, 50, keys, options.requests)
                    show(results, f"{name} {operation}", "keys", keys, figures)


def connect(servers, options, results):
    keys = min(options.keys[-1], 1000000)
    # redis-benchmark holds every connection itself.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for clients in options.connections:
        if clients + 100 > hard:
            print(f"  {clients} connections: skipped, this machine allows {hard} descriptors")
            continue
        for operation in options.operations:
            for name, server in servers.items():
                requests = options.requests if clients > 1 else max(options.requests // 10, 1)
                show(results, f"{name} {operation}", "connections", clients,
                     measure(server, options, operation, clients, keys, requests))


def show(results, series, axis, x, figures):
    results.setdefault(axis, {}).setdefault(series, []).append((x, figures))
    print(f"  {series:<16} {x:>12,} {axis:<12} {figures['rate'] / 1000:>9.1f} k/s {figures['cpu_us']:>8.2f} us CPU "
          f"p50 {figures['p50_ms']:>7.2f} p99 {figures['p99_ms']:>7.2f} ms", flush=True)


def main():
    options = parse_arguments()
    context = new_context(options)
    results = {}
    try:
        settings = varve_settings(options) | {"maxclients": str(max(10000, options.connections[-1] + 100))}
        servers = {"varve": context.server(**settings)}
        if "none" in options.against:
            servers["redis none"] = context.redis(appendonly="no")
        for server in servers.values():
            server.start()
        print(f"values of {options.value_size} bytes, pipeline {options.pipeline}, varve with appendfsync {options.appendfsync}")
        grow(servers, options, results)
        connect(servers, options, results)
    finally:
        context.close()
    print(write_json(options, "scale", {"settings": vars(options), "results": results}))
    for axis, series in results.items():
        for figure, label in (("cpu_us", "server CPU, microseconds per request"), ("rate", "requests per second")):
            curves = {name: [(x, row[figure]) for x, row in points] for name, points in series.items()}
            print(plot(options, f"scale-{axis}-{figure}", f"{label} by {axis}", axis, label, curves))


if __name__ == "__main__":
    main()
