"""kill -9 under load, again and again: a short run of the proof's own tool (tests/prove/kill.py)."""

import os
import sys

from harness import test

TOOL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "prove", "kill.py")


@test
def kill_loop(t):
    t.only_varve()
    words = [sys.executable, TOOL, "--server", t.options.server, "--count", str(t.options.cycles), "--seed", str(t.options.seed)]
    code, out, err = t.run(words, timeout=60 + 10 * t.options.cycles, code=None)
    if code != 0:
        raise AssertionError(out + err)
    counts = dict(line.split() for line in out.splitlines()[1:] if len(line.split()) == 2)
    print(f"         kill_loop: {counts['cycles']} kills, {counts['commands_sent']} commands sent, seed {t.options.seed}")
