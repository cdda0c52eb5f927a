#!/usr/bin/env python3
"""Power cuts in a real kernel: the server on an ext4 of its own, which is shut down under load as a lost disk would be.

usage: tests/prove/power.py [--seed N] [--count CUTS] [--seconds N] [--json FILE] [--server PATH]

The file system lies in an image behind a loop device. FS_IOC_SHUTDOWN stops it at once: nothing reaches the image any more,
and what was not synced is gone after the next mount, which replays the journal. Three kinds: "nologflush" as when the power
goes, "logflush" writes the journal but no data, "default" flushes all (then only the stop itself is tested). The server runs
on for some milliseconds: what it acknowledges on the dead disk would be a lie. Then it is killed, the image mounted again, and
the check is that of kill.py. Some cuts come during recovery, or right after kill -9, a start and a look: what was shown then
must have been made durable before.

Needs root, loop devices and ext4; without them it says so and skips. Mounts live in a mount namespace of this process, and loop
devices go with their mount: neither survives the tool, however it ends.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import common
from common import Violation
from harness import Skip
from rig import Rig

LIFE = 60               # cuts of one image
IMAGE_BYTES = 768 << 20
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
KINDS = {"default": 0, "logflush": 1, "nologflush": 2}
MOUNT_OPTIONS = ["defaults", "defaults", "data=writeback", "nodelalloc", "data=journal", "commit=1"]
CLONE_NEWNS = 0x00020000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
DEAD_DISK = ("Input/output error", "Read-only file system", "MISCONF The last sync")


def command(*words):
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return result.returncode, result.stderr.decode(errors="replace").strip()


def need(*words):
    code, error = command(*words)
    if code != 0:
        raise Skip(f"{' '.join(words[:3])}: {error[:200] or code}")


def die_with_the_tool():
    """A server that outlived the tool would hold its mount."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Disk:
    """An ext4 in an image, mounted or not."""

    def __init__(self, context, options):
        self.image = context.path("image")
        self.folder = context.path("disk")
        self.options = options
        self.mounted = False
        os.mkdir(self.folder)
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        need("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=16", self.image)
        context.cleanups.append(self.release)
        self.mount()

    def mount(self):
        code, error = command("mount", "-t", "ext4", "-o", f"loop,{self.options}", self.image, self.folder)
        if code != 0:
            raise Skip(f"cannot mount: {error[:200]}")
        self.mounted = True

    def unmount(self):
        if not self.mounted:
            return
        for _ in range(200):
            code, error = command("umount", self.folder)
            if code == 0:
                self.mounted = False
                return
            time.sleep(0.01)  # a process that was killed is still on its way out
        raise Violation(f"cannot unmount: {error}")

    def release(self):
        """At the end, whatever happened."""
        try:
            self.unmount()
        except Violation:
            command("umount", "-l", self.folder)

    def cut(self, kind):
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", KINDS[kind]))
        except OSError as error:
            raise Skip(f"FS_IOC_SHUTDOWN: {error}") from error
        finally:
            os.close(fd)

    def come_back(self):
        self.unmount()
        self.mount()


class PowerRig(Rig):
    def __init__(self, tool, seed, context, disk):
        super().__init__(tool, seed, context, os.path.join(disk.folder, "data"))
        self.disk = disk
        for actor in self.actors:
            actor.refusals = DEAD_DISK
        self.before = die_with_the_tool

    def again(self, cycles):
        return self.tool.again(self.seed, cycles)

    def cut(self, when):
        """The power goes; the server finds out by itself or not at all, and then is gone too."""
        self.check_alive()
        kind = self.chance.choices(list(KINDS), [1, 2, 5])[0]
        self.how = f"{when}, {kind}"
        self.disk.cut(kind)
        time.sleep(self.chance.choice([0, 0, 0.002, 0.02]))
        self.server.kill()
        self.add("cuts")
        self.add(f"cut:{kind}")
        self.add(f"cut:{when}")

    def start(self):
        """Power comes back, and goes again in some recoveries."""
        self.disk.come_back()
        while self.chance.random() < 0.2:
            self.server.spawn(self.before)
            time.sleep(self.chance.uniform(0, (self.open_ms + 8) / 1000))
            self.cut("starting")
            self.disk.come_back()
        super().start()

    def one_cycle(self):
        if self.chance.random() < 0.2:
            self.how = "kill -9, then a cut"
            self.load(self.server.kill)
            Rig.start(self)
            self.check(full=False)
            self.cut("shown")
        else:
            self.load(lambda: self.cut("load"))
            self.add("refused_on_a_dead_disk", sum(actor.refused for actor in self.actors))
            for actor in self.actors:
                actor.refused = 0
        self.start()
        self.check(full=self.cycle % 20 == 19)


def run(tool):
    if os.geteuid() != 0:
        raise Skip("needs root")
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            raise Skip(f"there is no {program}")
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise Skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    need("mount", "--make-rprivate", "/")
    seed = tool.options.seed
    while tool.go_on():
        context = tool.context("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir())
        disk = Disk(context, MOUNT_OPTIONS[seed % len(MOUNT_OPTIONS)])
        rig = PowerRig(tool, seed, context, disk)
        tool.say(f"seed {seed}, {disk.options}: {' '.join(rig.server.arguments[1:])}")
        Rig.start(rig)
        rig.repeat(LIFE, rig.one_cycle)
        seed += 1


if __name__ == "__main__":
    raise SystemExit(common.Tool("power", "power cuts by FS_IOC_SHUTDOWN on ext4", 60).main(run))
