#!/usr/bin/env python3
"""The proof, in sizes: runs the tools that try to break varve and says whether they really tried.

usage: scripts/prove.py SIZE [--seed N] [--jobs N] [--build DIR] [--out DIR] [--only TOOL,...]
       scripts/prove.py plant [NAME...] [--build DIR] [--jobs N]
       scripts/prove.py TOOL [ARGUMENT...]        one tool, with its own arguments
       scripts/prove.py --list

SIZE is quick, night or release: tests/prove/sizes.toml says which tools it runs, with which arguments, and what their
counters must reach. A run passes only if no tool saw a violation, every counter reached its minimum, and nothing was skipped
but what tests/prove/permitted_skips names: a fault that silently never fires must not look like a fault survived.

`plant` tries the proof itself: with each of the defects of tests/prove/plants.toml put into varve, the tool named there must
find something wrong. DIR is a build with -Dplants=true.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PROVE = os.path.join(ROOT, "tests", "prove")


def load_sizes():
    with open(os.path.join(PROVE, "sizes.toml"), "rb") as file:
        return tomllib.load(file)


def load_permitted_skips():
    """(tool, what) pairs; one a line: tool, what, and the reason in words."""
    permitted = set()
    with open(os.path.join(PROVE, "permitted_skips"), encoding="utf-8") as file:
        for line in file:
            line = line.partition("#")[0].strip()
            if line:
                permitted.add(tuple(line.split()[:2]))
    return permitted


def is_python(tool):
    return os.path.exists(os.path.join(PROVE, tool + ".py"))


def command_of(tool, build):
    """How a tool is started: a Python program of its own name, or one of varve_prove's."""
    if is_python(tool):
        return [sys.executable, os.path.join(PROVE, tool + ".py"), "--server", os.path.join(build, "varve-server")]
    return [os.path.join(build, "tests", "varve_prove"), tool]


class Task:
    def __init__(self, tool, arguments, cores):
        self.tool, self.arguments, self.cores = tool, arguments, cores
        self.result = None
        self.code = None


def draw_up(size, seed, only):
    """The tasks of a size, the longest first: each run of a tool gets seeds that no other run of it has."""
    tasks = []
    for entry in size["run"]:
        if only and entry["tool"] not in only:
            continue
        for part in range(entry.get("parts", 1)):
            arguments = ["--seed", str(seed + part * 1_000_000)]
            for name in ("count", "seconds"):
                if name in entry:
                    arguments += ["--" + name, str(entry[name])]
            arguments += [str(a) for a in entry.get("arguments", [])]
            tasks.append(Task(entry["tool"], arguments, entry.get("cores", 1)))
    return tasks


class Runner:
    """Runs tasks on so many cores; a tool that drives real servers says that it needs more than one."""

    def __init__(self, build, out, jobs):
        self.build, self.out, self.jobs = build, out, jobs
        self.free = jobs
        self.changed = threading.Condition()
        self.number = 0

    def run(self, tasks):
        waiting = list(tasks)
        threads = []
        with self.changed:
            while waiting:
                fitting = next((t for t in waiting if min(t.cores, self.jobs) <= self.free), None)
                if fitting is None:
                    self.changed.wait()
                    continue
                waiting.remove(fitting)
                self.free -= min(fitting.cores, self.jobs)
                self.number += 1
                threads.append(threading.Thread(target=self.run_one, args=(fitting, self.number)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def run_one(self, task, number):
        name = f"{number:02d}-{task.tool}"
        result = os.path.join(self.out, name + ".json")
        command = command_of(task.tool, self.build) + task.arguments + ["--json", result]
        began = time.monotonic()
        with open(os.path.join(self.out, name + ".log"), "wb") as log:
            task.code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            with open(result, encoding="utf-8") as file:
                task.result = json.load(file)
        except (OSError, ValueError) as error:
            print(f"  {name}: no result: {error}", flush=True)
        print(f"  {name}: {'ok' if task.code == 0 else f'FAILED (exit {task.code}), {os.path.join(self.out, name)}.log'}"
              f" in {time.monotonic() - began:.0f} s", flush=True)
        with self.changed:
            self.free += min(task.cores, self.jobs)
            self.changed.notify_all()


def judge(tasks, minimums, permitted):
    """Prints the table; the list of what is wrong."""
    wrong = []
    tools = {}
    for task in tasks:
        counts, skips, seconds = tools.setdefault(task.tool, ({}, {}, [0.0]))
        if task.result is None:
            wrong.append(f"{task.tool}: exit {task.code} and no result: {' '.join(task.arguments)}")
            continue
        seconds[0] += task.result["seconds"]
        for name, count in task.result["counts"].items():
            counts[name] = counts.get(name, 0) + count
        skips.update(task.result["skips"])
        for violation in task.result["violations"]:
            wrong.append(f"{task.tool}: {violation['what']}\n      again: {violation['again']}")
        if task.code != 0 and not task.result["violations"]:
            wrong.append(f"{task.tool}: exit {task.code}: {' '.join(task.arguments)}")
    print(f"{'tool':<10} {'counter':<36} {'reached':>14} {'at least':>12}")
    for tool, (counts, skips, seconds) in tools.items():
        least = minimums.get(tool, {})
        excused = {what for what in skips if (tool, what) in permitted}
        for name in sorted(set(counts) | set(least)):
            reached, wanted = counts.get(name, 0), least.get(name)
            short = wanted is not None and reached < wanted and not is_excused(tool, name, excused)
            print(f"{tool:<10} {name:<36} {reached:>14,} {'' if wanted is None else format(wanted, ','):>12}"
                  f"{'  TOO FEW' if short else ''}")
            if short:
                wrong.append(f"{tool}: {name} reached {reached:,}, not {wanted:,}")
        for what, why in sorted(skips.items()):
            print(f"{tool:<10} {what:<36} skipped: {why}")
            if what not in excused:
                wrong.append(f"{tool}: {what} was skipped, which is not permitted: {why}")
        print(f"{tool:<10} {'seconds of the tool':<36} {seconds[0]:>14,.0f}")
    return wrong


def is_excused(tool, counter, excused):
    """A permitted skip of the tool itself excuses all its counters; another one the counters that begin with its name."""
    return any(what == tool or counter.startswith(what) for what in excused)


def run_size(name, size, options):
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "little")
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    print(f"prove {name}, seed {seed}, commit {commit.stdout.strip() or 'unknown'}", flush=True)
    out = options.out or os.path.join(options.build, "prove", f"{name}-{seed}")
    os.makedirs(out, exist_ok=True)
    only = set(options.only.split(",")) if options.only else None
    tasks = draw_up(size, seed, only)
    began = time.monotonic()
    Runner(options.build, out, options.jobs).run(tasks)
    minimums = {t: m for t, m in size.get("minimum", {}).items() if not only or t in only}
    wrong = judge(tasks, minimums, load_permitted_skips())
    if options.counts:
        failed = {line.partition(":")[0] for line in wrong}
        tools = {task.tool for task in tasks}
        with open(options.counts, "w", encoding="utf-8") as file:
            json.dump({"passed": len(tools - failed), "failed": len(failed), "skipped": 0}, file)
    print(f"prove {name}: {time.monotonic() - began:.0f} s on {options.jobs} cores, seed {seed}")
    for line in wrong:
        print(f"  WRONG {line}")
    print("prove: " + (f"{len(wrong)} violations or gaps" if wrong else "nothing lost, nothing altered, nothing half-applied"))
    return 1 if wrong else 0


def load_plants():
    with open(os.path.join(PROVE, "plants.toml"), "rb") as file:
        return tomllib.load(file)


def try_plant(defect, tool, plants, build, out):
    """'found', or what is wrong."""
    seconds = plants["limit"]["seconds"]
    command = command_of(tool, build) + ["--seconds", str(seconds)]
    command += [] if is_python(tool) else ["--stop-at-violation", "1"]
    command += [str(a) for a in plants["tool"][tool]]
    environment = dict(os.environ, VARVE_PLANT=defect)
    log_path = os.path.join(out, f"{defect or 'none'}-{tool}.log")
    began = time.monotonic()
    with open(log_path, "wb") as log:
        try:
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, check=False,
                                  timeout=20 * seconds).returncode
        except subprocess.TimeoutExpired:
            code = None
    took = time.monotonic() - began
    if not defect:
        verdict = "passes" if code == 0 else f"FAILS WITHOUT A DEFECT, {log_path}"
    elif code == 2:
        verdict = f"COULD NOT RUN, {log_path}"
    else:
        # The others limit their processor time themselves.
        in_time = took <= seconds + 10 if is_python(tool) else True
        verdict = "found" if code and in_time else "NOT FOUND"
    print(f"  {defect or '(no defect)':<28} {tool:<8} {verdict} in {took:.0f} s", flush=True)
    return verdict


def run_plants(options):
    plants = load_plants()
    defects = {d: t for d, t in plants["defect"].items() if not options.names or d in options.names}
    unknown = [name for name in options.names if name not in plants["defect"]]
    if unknown or not defects:
        sys.exit(f"no such defect: {' '.join(unknown)}; see tests/prove/plants.toml")
    out = options.out or os.path.join(options.build, "prove", "plants")
    os.makedirs(out, exist_ok=True)
    # Without a defect each tool must pass, else it proves nothing that it fails with one.
    tries = [("", tool) for tool in sorted(set(defects.values()))] + list(defects.items())
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(lambda t: try_plant(t[0], t[1], plants, options.build, out), tries))
    found = sum(v == "found" for v in verdicts)
    passes = sum(v == "passes" for v in verdicts)
    print(f"prove plant: {found} of {len(defects)} defects found, {passes} of {len(tries) - len(defects)} tools pass without one")
    return 0 if found + passes == len(tries) else 1


def main():
    sizes = load_sizes()
    parser = argparse.ArgumentParser(description="the proof, in sizes", add_help=True)
    parser.add_argument("what", nargs="?", help="a size (" + ", ".join(sizes) + ") or a tool")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--out", help="where results and logs go (default: BUILD/prove/SIZE-SEED)")
    parser.add_argument("--counts", help="also write how many tools passed and failed, for count_tests.py")
    parser.add_argument("--only", help="only these tools of the size")
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and sys.argv[1] not in (*sizes, "plant"):
        tool = sys.argv[1]
        build = os.path.join(ROOT, "build")
        return subprocess.call(command_of(tool, build) + sys.argv[2:], cwd=ROOT)
    parser.add_argument("names", nargs="*", help="plant: only these defects")
    options = parser.parse_intermixed_args()  # names may stand behind options
    if options.what == "plant":
        return run_plants(options)
    if options.list or not options.what:
        for name, size in sizes.items():
            print(name + ": " + ", ".join(f"{e['tool']}{' x' + str(e['parts']) if 'parts' in e else ''}" for e in size["run"]))
        return 0
    return run_size(options.what, sizes[options.what], options)


if __name__ == "__main__":
    sys.exit(main())
