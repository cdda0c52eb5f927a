#!/usr/bin/env python3
"""The engine beside RocksDB: runs tests/engine_bench, which prints the table, and draws how many times as fast varve was.

What is not an argument of this script goes to engine_bench (--rounds, --data-mb, --values, --workloads, --tiny, ...).
"""

import argparse
import json
import os
import subprocess
import sys

from bench_common import ROOT, plot_bars


def parse_arguments():
    parser = argparse.ArgumentParser(description="the engine against RocksDB")
    parser.add_argument("--bench", default=os.path.join(ROOT, "build", "tests", "engine_bench"))
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench"), help="where results and plots go")
    return parser.parse_known_args()


def main():
    options, rest = parse_arguments()
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "engine.json")
    result = subprocess.run([options.bench, "--json", path, *rest], check=False)
    if result.returncode != 0:
        sys.exit(result.returncode)
    with open(path, encoding="utf-8") as file:
        values = json.load(file)["values"]
    names = list(dict.fromkeys(name for table in values.values() for name in table))
    ratios = {f"values of {size} bytes": [table.get(name, {}).get("ratio") for name in names] for size, table in values.items()}
    targets = [max(table.get(name, {}).get("target", 0) for table in values.values()) for name in names]
    print(path)
    if any(ratio for row in ratios.values() for ratio in row):
        print(plot_bars(options, "engine", "varve against RocksDB", "times as fast", names, ratios, targets))


if __name__ == "__main__":
    main()
