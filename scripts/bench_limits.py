#!/usr/bin/env python3
"""How far varve is from what this machine could do at best, both measured in the same run:

  log        bytes a second into the log, against the disk's sequential writes
  groups     log syncs a second under load, against one block written and synced again and again
  cold       GETs a second of data ten times the cache, against the disk's random reads at the same depth
  pipelined  GETs a second from memory, against a libuv server that answers without looking
  single     one client's SET without pipelining, against a PING plus the disk's own sync

Each line shows both figures and their ratio; all go to JSON.
"""

import argparse
import os
import subprocess
import time

from bench_common import ROOT, add_server_arguments, benchmark, load, new_context, varve_settings, write_json
from harness import Client, free_port
from test_memory import Cgroup, device_reads


def parse_arguments():
    parser = argparse.ArgumentParser(description="varve against the machine's own limits")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement of the machine")
    parser.add_argument("--file-mb", type=int, default=1024, help="what the disk is tried with")
    parser.add_argument("--requests", type=int, default=400000)
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--cold-mb", type=int, default=2000, help="data of the cold reads; its maxmemory is a tenth")
    parser.add_argument("--limits", default=os.path.join(ROOT, "build", "tests", "machine_limits"))
    add_server_arguments(parser)
    return parser.parse_args()


def machine(options, *arguments):
    out = subprocess.run([options.limits, *map(str, arguments)], capture_output=True, check=True, text=True).stdout
    return {name: float(value) for name, value in (line.split() for line in out.splitlines())}


class Results:
    def __init__(self):
        self.rows = {}

    def add(self, name, unit, ours, limit, what):
        self.rows[name] = {"varve": ours, "limit": limit, "unit": unit, "limit_is": what}
        print(f"  {name:<10} {ours:>12,.0f} of {limit:>12,.0f} {unit:<8} {ours / limit if limit else 0:>6.2f}  ({what})", flush=True)


def lsm(client):
    return client.info("lsm")


def measure_log(options, context, results, disk):
    server = context.server(**varve_settings(options)).start()
    with server.client() as client:
        before, began = lsm(client), time.monotonic()
        benchmark(server.port, "set", 100, 16, options.requests, options.keys, 1024)
        took, after = time.monotonic() - began, lsm(client)
        written = int(after["log_bytes_written"]) - int(before["log_bytes_written"])
        results.add("log", "MB/s", written / took / 1e6, disk["write_again_mb_per_s"], "sequential writes and one sync")
        groups = machine(options, "log", context.folder, 1, options.seconds)["log_groups_depth_1_per_s"]
        before, began = lsm(client), time.monotonic()
        benchmark(server.port, "set", 50, 1, options.requests // 4, options.keys, 100)
        took, after = time.monotonic() - began, lsm(client)
        syncs = int(after["log_fsyncs"]) - int(before["log_fsyncs"])
        results.add("groups", "/s", syncs / took, groups, "one block written and synced, again and again")
    server.stop()


def measure_pipelined(options, context, results):
    server = context.server(**varve_settings(options)).start()
    load(server, options.keys, 100)
    port = free_port()
    echo = subprocess.Popen([options.limits, "echo", str(port), "100"])
    context.processes.append(echo)
    wait_for_port(port)
    for pipeline in (16, 64):
        ours = benchmark(server.port, "get", 50, pipeline, options.requests, options.keys, 100)[0]
        best = benchmark(port, "get", 50, pipeline, options.requests, options.keys, 100)[0]
        results.add(f"GET P={pipeline}", "/s", ours, best, "a libuv server that answers without looking")
    ours = benchmark(server.port, "get", 50, 1, options.requests // 4, options.keys, 100)[0]
    best = benchmark(port, "get", 50, 1, options.requests // 4, options.keys, 100)[0]
    results.add("GET P=1", "/s", ours, best, "the same")
    measure_single(options, context, results, server)
    server.stop()


def measure_single(options, context, results, server):
    ping = set_ = 0.0
    with server.client() as client:
        for words in (("PING",), ("SET", "single", "x" * 100)):
            taken = []
            for _ in range(2000):
                began = time.perf_counter()
                client.ok(*words)
                taken.append(time.perf_counter() - began)
            median = sorted(taken)[len(taken) // 2] * 1e6
            ping, set_ = (median, set_) if words[0] == "PING" else (ping, median)
    sync = machine(options, "disk", context.folder, options.seconds, options.file_mb)["sync_4k_p50_us"]
    results.add("single", "us", set_, ping + sync, f"PING {ping:.0f} us + the disk's sync {sync:.0f} us")


def wait_for_port(port):
    for _ in range(500):
        try:
            Client(port).close()
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"nothing listens on {port}")


def measure_cold(options, context, results, disk):
    data = options.cold_mb << 20
    memory = max(data // 10, 64 << 20)
    group = Cgroup.create(f"varve-bench-{os.getpid()}", memory * 5 // 4)
    if group is None:
        print("  cold       skipped: no memory cgroup to be had, the page cache would serve the reads")
        return
    context.cleanups.append(group.remove)
    settings = varve_settings(options) | {"maxmemory": str(memory)}
    server = context.server(**settings).start(before=group.enter)
    keys = data // 1024
    load(server, keys, 1000, compressible=False)  # else all of it fits into a tenth
    requests = min(options.requests, 100000)
    for clients in (4, 16):
        sectors = device_reads(server.directory)
        rate = benchmark(server.port, "get", clients, 1, requests, keys, 1000)[0]
        sectors = device_reads(server.directory) - sectors
        results.add(f"cold x{clients}", "/s", rate, disk[f"read_8k_depth_{clients}_per_s"],
                    f"random 8 KiB reads at that depth; {sectors / 2 / requests:.1f} KiB read per GET")
    server.stop()


def main():
    options = parse_arguments()
    context = new_context(options)
    results = Results()
    try:
        disk = machine(options, "disk", context.folder, options.seconds, options.file_mb)
        print("this machine: " + ", ".join(f"{name} {value:g}" for name, value in disk.items()))
        print(f"  {'':<10} {'varve':>12}    {'limit':>12}")
        measure_log(options, context, results, disk)
        measure_pipelined(options, context, results)
        measure_cold(options, context, results, disk)
    finally:
        context.close()
    print(write_json(options, "limits", {"settings": vars(options), "machine": disk, "results": results.rows}))


if __name__ == "__main__":
    main()
