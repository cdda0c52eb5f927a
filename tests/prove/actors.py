"""Clients that know what the server must hold: pipelined load from drawn commands, and the check after a crash.

Each actor owns two databases, so it can tell every reply beforehand and checks each. A connection's commands run in order and
the log keeps that order, so after a crash the actor's databases must be exactly what they were after some number of its
commands: at least those acknowledged, at least what any other client was shown, at most those sent. That one rule says it
all: nothing acknowledged is lost or altered, nothing seen is taken back, an MSET, RENAME or FLUSHDB is whole or absent, and
nothing comes back that an earlier command had deleted. What was sent and what was acknowledged lies in this process, outside
of the data directory.

A new command family is one generator more in FAMILIES (what to send, the reply, what changes), with names of its own in KINDS
where its keys are not strings; `Actor.read` then learns to read that type.
"""

import random
import threading
import time

from common import Violation
from harness import Client, ReplyError, encode, shorten

HOT = 40            # names of each kind in each database
BULK_MAX = 1500     # write-once keys an actor keeps
SAMPLE = 40         # keys not touched that a check looks at
NO_CELL = (None, 0)
NOISE = random.Random(1).randbytes(1 << 16).hex().encode()
SLACK_MS = 50       # how far the server's clock may be from ours when a key expires


def now_ms():
    return time.time() * 1000


class Either:
    """A reply that depends on whether a key has expired: `before` its time `at`, `after` it."""

    def __init__(self, at, before, after):
        self.at, self.before, self.after = at, before, after

    def accepts(self, reply, sent_ms, got_ms):
        if got_ms < self.at - SLACK_MS:
            return reply == self.before
        if sent_ms > self.at + SLACK_MS:
            return reply == self.after
        return reply in (self.before, self.after)

    def __repr__(self):
        return f"{shorten(self.before, 60)} until {self.at}, then {shorten(self.after, 60)}"


class Sent:
    """A command on its way: what it must answer and how its changes are taken back."""

    __slots__ = ("words", "expected", "undo", "turn")

    def __init__(self, words, expected, undo, turn):
        self.words, self.expected, self.undo, self.turn = words, expected, undo, turn


class Actor:
    """`state` is what the server holds once all that was sent has run: (database, key) -> (value, expiry in ms or 0)."""

    def __init__(self, number, counters, chance):
        self.number = number
        self.counters = counters
        self.chance = chance
        self.databases = (2 * number, 2 * number + 1)
        self.state = {}
        self.turn = 0
        self.turn_at_check = 0
        self.acknowledged = 0   # the turn of the last command acknowledged
        self.seen = 0           # the last turn whose effect was shown to somebody
        self.pending = []       # Sent, oldest first
        self.database = 0       # the one the connection has selected
        self.bulk_first, self.bulk_next = 0, 0
        self.touched = set()    # slots changed since the last check
        self.others = [self]
        self.drawn = {}         # commands by family since the last check
        self.refusals = ()      # words of errors that are right because the disk is gone
        self.refused = 0
        self.failure = None
        self.view = None        # what `look` has read: slots, when it asked, slot -> cell, when it had it
        self.connected = threading.Event()

    # ------------------------------------------------------------------------------------------------------ commands

    def get(self, key):
        return self.state.get((self.database, key))

    def tag(self):
        return b"%d/%d/" % (self.number, self.turn + 1)

    def value(self):
        size = self.chance.choice([0, 10, 100, 100, 100, 300, 300, 1000, 1000, 4000, 20000])
        start = self.chance.randrange(1 << 16)
        return self.tag() + NOISE[start : start + size]

    def hot(self, kind=b"s"):
        return b"%s:%02d" % (kind, self.chance.randrange(HOT))

    def do(self, words, expected, changes=()):
        """Queues one command. `changes`: slot -> (value, expiry) or None, what it does to the state."""
        self.turn += 1
        undo = None
        if changes:
            undo = {}
            for slot, cell in changes.items():
                undo[slot] = self.state.get(slot)
                if cell is None:
                    self.state.pop(slot, None)
                else:
                    self.state[slot] = cell
            self.touched.update(changes)
        self.pending.append(Sent(words, expected, undo, self.turn))

    def change(self, words, expected, *pairs):
        """A command that sets keys of the selected database to the cells of (key, cell) pairs."""
        self.do(words, expected, {(self.database, key): cell for key, cell in pairs})

    def draw_batch(self):
        """Queues the commands of one pipeline; how many."""
        before = len(self.pending)
        database = self.databases[self.chance.random() < 0.2]
        if database != self.database:
            self.database = database
            self.do(("SELECT", database), "OK")
        for _ in range(self.chance.choice([1, 4, 16, 64])):
            name, family = self.chance.choices(FAMILIES, WEIGHTS)[0]
            family(self)
            self.drawn[name] = self.drawn.get(name, 0) + 1
        return len(self.pending) - before

    # ---------------------------------------------------------------------------------------------------------- load

    def run(self, port, stop):
        """Sends and checks until `stop` is set or the server is gone. A thread's whole life."""
        try:
            with Client(port) as client:
                self.database = 0
                while not stop.is_set():
                    first = len(self.pending)
                    self.draw_batch()
                    batch = self.pending[first:]
                    sent_ms = now_ms()
                    client.send(b"".join([encode(*sent.words) for sent in batch]))
                    self.connected.set()
                    self.receive(client, batch, sent_ms)
                    self.pending.clear()
        except OSError:
            pass  # the server was killed, as it should be
        except Exception as error:  # told by the main thread
            self.failure = error

    def receive(self, client, batch, sent_ms):
        for sent in batch:
            reply = client.receive()
            expected = sent.expected
            if reply != expected:
                if isinstance(reply, ReplyError) and any(word in str(reply) for word in self.refusals):
                    self.refused += 1
                    raise ConnectionError("the disk is gone: this command and what follows are not acknowledged")
                if callable(expected):
                    expected(reply)
                elif not (isinstance(expected, Either) and expected.accepts(reply, sent_ms, now_ms())):
                    raise Violation(f"actor {self.number}: {shorten(sent.words)} answered {shorten(reply)}, "
                                    f"not {shorten(expected)}")
            self.acknowledged = sent.turn

    def show(self, value):
        """Somebody was shown this value: its writer's command counts as acknowledged."""
        if not isinstance(value, bytes):
            return
        words = value.split(b"/", 2)
        if len(words) < 3:
            raise Violation(f"a value that nobody wrote: {value!r:.100}")
        writer = self.others[int(words[0])]
        writer.seen = max(writer.seen, int(words[1]))

    # --------------------------------------------------------------------------------------------------------- check

    def names(self, full):
        """Slots to look at: what was touched, and a sample of the rest (or everything)."""
        slots = [(database, b"%s:%02d" % (kind, i)) for database in self.databases for kind in KINDS for i in range(HOT)]
        slots += [(database, bulk_key(i)) for database in self.databases for i in range(self.bulk_first, self.bulk_next)]
        return sorted(self.touched.union(slots if full or len(slots) < SAMPLE else self.chance.sample(slots, SAMPLE)))

    def read(self, client, slots):
        """slot -> (value, expiry) as the server has it."""
        found = {}
        unsure = {slot for sent in self.pending if sent.undo for slot in sent.undo}
        for database in self.databases:
            names = [key for d, key in slots if d == database]
            groups = [names[start : start + 50] for start in range(0, len(names), 50)]
            # Times of expiry cost a command each: where there may be one, and of some others.
            timed = [key for key in names if (database, key) in unsure or self.state.get((database, key), NO_CELL)[1]
                     or self.chance.random() < 0.1]
            client.ok("SELECT", database)
            values = client.pipeline([("MGET", *group) for group in groups])
            values = {key: value for group, some in zip(groups, values) for key, value in zip(group, some)}
            large = [key for key in names if key[:2] in READS]
            reads = [(READS[key[:2]][0][0], key, *READS[key[:2]][0][1:]) for key in large]
            for key, value in zip(large, client.pipeline(reads)):
                values[key] = READS[key[:2]][1](value)
            times = dict(zip(timed, client.pipeline([("PEXPIRETIME", key) for key in timed])))
            for key, value in values.items():
                at = times.get(key, -1)
                if value is not None and at != -2:
                    found[database, key] = (value, max(at, 0))
        return found

    def look(self, port, full):
        """Reads what the check needs; a thread's whole life, so that all actors look at once."""
        try:
            with Client(port) as client:
                slots, asked = self.names(full), now_ms()
                self.view = slots, asked, self.read(client, slots), now_ms()
        except Exception as error:  # told by the main thread
            self.failure = error

    def check(self):
        """Finds the number of commands after which the state was what `look` has found, and goes on from there."""
        slots, asked, found, got = self.view
        wrong = {slot for slot in slots if not agrees(self.state.get(slot), found.get(slot), asked, got)}
        floor = max(self.acknowledged, self.seen)
        undone = 0
        while wrong and self.pending and self.pending[-1].turn > floor:
            for slot, cell in (self.pending.pop().undo or {}).items():
                if cell is None:
                    self.state.pop(slot, None)
                else:
                    self.state[slot] = cell
                (wrong.discard if agrees(cell, found.get(slot), asked, got) else wrong.add)(slot)
            undone += 1
        if wrong:
            raise Violation(self.complaint(sorted(wrong), found, floor, undone))
        self.counters.add("maybe_writes_kept", sum(1 for s in self.pending if s.undo and s.turn > floor))
        self.counters.add("maybe_commands_dropped", undone)
        self.counters.add("keys_checked", len(slots))
        for name, n in self.drawn.items():
            self.counters.add(f"family:{name}", n)
        self.drawn.clear()
        self.settle()

    def settle(self):
        """What the check has seen is acknowledged: it was shown."""
        self.acknowledged = self.seen = self.turn_at_check = self.turn
        self.pending.clear()
        self.touched.clear()
        self.connected.clear()
        live = [int(key[2:]) for _, key in self.state if key[:2] == b"b:"]
        self.bulk_first = min(live, default=self.bulk_next)
        self.bulk_next = max([self.bulk_next, *(n + 1 for n in live)])

    def complaint(self, wrong, found, floor, undone):
        slot = wrong[0]
        return (f"actor {self.number}: after the crash database {slot[0]} key {slot[1].decode()} holds "
                f"{shorten(found.get(slot), 80)}, not {shorten(self.state.get(slot), 80)} as after turn {floor} "
                f"(acknowledged or shown; {undone} later commands sent; {len(wrong)} keys wrong)")

    def counts(self, database):
        """(keys surely there, keys that may have expired) of a database."""
        cells = [cell for (d, _), cell in self.state.items() if d == database]
        some = sum(map(is_brief, cells))
        return len(cells) - some, some

    def check_size(self, client, blind, full):
        """DBSIZE within what INFO bounds; in a full check also every key by SCAN, each once."""
        for database in self.databases:
            client.ok("SELECT", database)
            sure, brief = self.counts(database)
            size = client.ok("DBSIZE")
            if not sure <= size <= sure + brief + blind:
                raise Violation(f"database {database}: DBSIZE {size}, but {sure} keys, {brief} brief, {blind} blind")
            if full:
                keys = client.scan("COUNT", 500)
                lasting = {key for (d, key), cell in self.state.items() if d == database and not is_brief(cell)}
                may = {key for d, key in self.state if d == database}
                if len(keys) != len(set(keys)) or not lasting <= set(keys) <= may:
                    raise Violation(f"database {database}: SCAN lacks {shorten(sorted(lasting - set(keys))[:5])}, has "
                                    f"{shorten(sorted(set(keys) - may)[:5])} besides, {len(keys) - len(set(keys))} twice")


def check_all(actors, server, full):
    """Every actor looks at its databases and judges. OSError when the server ended meanwhile; then nothing is settled."""
    threads = [threading.Thread(target=actor.look, args=(server.port, full)) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise_failure(actors)
    with server.client(timeout=60) as client:
        blind = int(client.info("lsm")["blind_records"])
        for actor in actors:
            actor.check()
            actor.check_size(client, blind, full)


def raise_failure(actors):
    failures = [actor.failure for actor in actors if actor.failure is not None]
    for actor in actors:
        actor.failure = None
    for failure in sorted(failures, key=lambda f: isinstance(f, OSError)):  # a violation before a closed connection
        raise failure


def is_brief(cell):
    return cell[1] != 0 and cell[1] < now_ms() + 3600_000


def agrees(cell, found, asked, got):
    """Does the server's cell fit ours, given that keys expire?"""
    if cell is None or cell[1] == 0 or got < cell[1] - SLACK_MS:
        return cell == found
    return found is None or (found == cell and asked < cell[1] + SLACK_MS)


# ------------------------------------------------------------------------------------------------------------- families

KINDS = (b"s", b"n", b"e", b"h", b"m", b"l", b"z")  # strings, numbers, keys that expire soon, hashes, sets, lists, sorted sets
QUEUE_MAX = 120  # elements of a list, about
MEMBERS = 60  # names of fields and members


def as_hash(reply):
    return dict(zip(reply[::2], reply[1::2])) or None


def as_set(reply):
    return frozenset(reply) or None


def as_list(reply):
    return tuple(reply) or None


def as_scores(reply):
    scores = {member: int(score) for member, score in zip(reply[::2], reply[1::2])}
    if list(scores) != ordered(scores):
        raise Violation(f"a sorted set that is not in order: {shorten(reply)}")
    return scores or None


# How a key that is no string is read whole.
READS = {b"h:": (("HGETALL",), as_hash), b"m:": (("SMEMBERS",), as_set), b"l:": (("LRANGE", 0, -1), as_list),
         b"z:": (("ZRANGE", 0, -1, "WITHSCORES"), as_scores)}


def ordered(scores):
    return sorted(scores, key=lambda member: (scores[member], member))


def bulk_key(number):
    return b"b:%08d" % number


def far_ms(chance):
    """A time of expiry no run meets."""
    return int(now_ms()) + 10 * 3600_000 + chance.randrange(1 << 20)


def family_set(a):
    key, value = a.hot(), a.value()
    old = a.get(key)
    kind = a.chance.random()
    if kind < 0.6:
        a.change(("SET", key, value), "OK", (key, (value, 0)))
    elif kind < 0.7:
        a.change(("SET", key, value, "GET"), old[0] if old else None, (key, (value, 0)))
    elif kind < 0.8:
        a.change(("SETNX", key, value), 0 if old else 1, *([] if old else [(key, (value, 0))]))
    elif kind < 0.9:
        a.change(("SET", key, value, "XX", "KEEPTTL"), "OK" if old else None, *([(key, (value, old[1]))] if old else []))
    else:
        a.change(("GETSET", key, value), old[0] if old else None, (key, (value, 0)))


def family_mset(a):
    keys = sorted({a.hot() for _ in range(a.chance.randrange(2, 7))})
    value = a.value()
    words = [w for key in keys for w in (key, value)]
    if a.chance.random() < 0.8:
        a.change(("MSET", *words), "OK", *[(key, (value, 0)) for key in keys])
    else:
        any_there = any(a.get(key) for key in keys)
        a.change(("MSETNX", *words), 0 if any_there else 1, *([] if any_there else [(key, (value, 0)) for key in keys]))


def family_number(a):
    key = a.hot(b"n")
    old = a.get(key)
    step = a.chance.randrange(1, 1000)
    words, by = a.chance.choice([(("INCR", key), 1), (("DECR", key), -1), (("INCRBY", key, step), step),
                                 (("DECRBY", key, step), -step)])
    number = int(old[0]) + by if old else by
    a.change(words, number, (key, (b"%d" % number, old[1] if old else 0)))


def family_append(a):
    key, piece = a.hot(), a.tag() + b"+" * a.chance.randrange(300)
    old = a.get(key)
    if old and len(old[0]) > 100_000:
        return family_delete(a)
    if a.chance.random() < 0.7 or not old:
        value = (old[0] if old else b"") + piece
        return a.change(("APPEND", key, piece), len(value), (key, (value, old[1] if old else 0)))
    # Never over the tag at the front.
    at = a.chance.randrange(min(30, len(old[0])), len(old[0]) + 100)
    value = old[0][:at].ljust(at, b"\0") + piece + old[0][at + len(piece) :]
    return a.change(("SETRANGE", key, at, piece), len(value), (key, (value, old[1])))


def family_read(a):
    key = a.hot()
    old = a.get(key)
    kind = a.chance.randrange(5)
    if kind == 0:
        keys = [a.hot() for _ in range(a.chance.randrange(1, 10))]
        a.do(("MGET", *keys), [cell[0] if cell else None for cell in map(a.get, keys)])
    elif kind == 1:
        a.do(("STRLEN", key), len(old[0]) if old else 0)
    elif kind == 2:
        start, end = a.chance.randrange(200), a.chance.randrange(200, 30000)
        a.do(("GETRANGE", key, start, end), old[0][start : end + 1] if old else b"")
    elif kind == 3:
        keys = [a.hot() for _ in range(3)]
        a.do(("EXISTS", *keys), sum(1 for k in keys if a.get(k)))
    else:
        a.do(("GET", key), old[0] if old else None)


def family_delete(a):
    kind = a.chance.random()
    keys = sorted({a.hot(a.chance.choice([b"s", b"s", b"n"])) for _ in range(a.chance.randrange(1, 4))})
    if kind < 0.8:
        there = [key for key in keys if a.get(key)]
        a.change((a.chance.choice(["DEL", "UNLINK"]), *keys), len(there), *[(key, None) for key in there])
    else:
        old = a.get(keys[0])
        a.change(("GETDEL", keys[0]), old[0] if old else None, *([(keys[0], None)] if old else []))


def family_rename(a):
    source, goal = a.chance.sample([b"s:%02d" % i for i in range(HOT)], 2)
    old, there = a.get(source), a.get(goal)
    kind = a.chance.random()
    if kind < 0.4:
        if old:
            a.change(("RENAME", source, goal), "OK", (goal, old), (source, None))
        else:
            a.do(("RENAME", source, goal), ReplyError("ERR no such key"))
    elif kind < 0.6 and old:
        moved = [] if there else [(goal, old), (source, None)]
        a.change(("RENAMENX", source, goal), 0 if there else 1, *moved)
    elif kind < 0.9:
        a.change(("COPY", source, goal, "REPLACE"), 1 if old else 0, *([(goal, old)] if old else []))
    else:
        other = a.databases[1] if a.database == a.databases[0] else a.databases[0]
        moves = old and (other, source) not in a.state
        a.do(("MOVE", source, other), 1 if moves else 0,
             {(other, source): old, (a.database, source): None} if moves else ())


def family_expiry(a):
    """Times of expiry that stay: set, read back and removed."""
    key, at = a.hot(), far_ms(a.chance)
    old = a.get(key)
    kind = a.chance.randrange(5)
    if kind == 0:
        value = a.value()
        a.change(("SET", key, value, "PXAT", at), "OK", (key, (value, at)))
    elif kind == 1:
        a.change(("PEXPIREAT", key, at), 1 if old else 0, *([(key, (old[0], at))] if old else []))
    elif kind == 2:
        a.change(("PERSIST", key), 1 if old and old[1] else 0, *([(key, (old[0], 0))] if old and old[1] else []))
    elif kind == 3:
        a.change(("GETEX", key, "PXAT", at), old[0] if old else None, *([(key, (old[0], at))] if old else []))
    else:
        a.do(("PEXPIRETIME", key), (old[1] or -1) if old else -2)


def family_brief(a):
    """Keys that die soon: once gone they stay gone."""
    key = a.hot(b"e")
    old = a.get(key)
    if a.chance.random() < 0.5:
        value, at = a.value(), int(now_ms()) + a.chance.choice([2, 20, 100, 300, 5000])
        a.change(("SET", key, value, "PXAT", at), "OK", (key, (value, at)))
    else:
        a.do(("GET", key), Either(old[1], old[0], None) if old else None)


def member(a):
    return b"member:%02d" % a.chance.randrange(MEMBERS)


def family_hash(a):
    key, field = a.hot(b"h"), member(a)
    value, at = a.get(key) or ({}, 0)
    kind = a.chance.random()
    if kind < 0.4:
        changed = {member(a): a.value() for _ in range(a.chance.choice([1, 1, 2, 20]))}
        words = [w for pair in changed.items() for w in pair]
        a.change(("HSET", key, *words), len(changed.keys() - value.keys()), (key, ({**value, **changed}, at)))
    elif kind < 0.6:
        left = {f: v for f, v in value.items() if f != field}
        a.change(("HDEL", key, field), len(value) - len(left), *([(key, (left, at) if left else None)] if value else []))
    elif kind < 0.7:
        number = int(value.get(b"number", 0)) + 7
        a.change(("HINCRBY", key, b"number", 7), number, (key, ({**value, b"number": b"%d" % number}, at)))
    elif kind < 0.8:
        a.do(("HLEN", key), len(value))
    else:
        a.do(("HMGET", key, field, b"number"), [value.get(field), value.get(b"number")])


def family_members(a):
    key, one = a.hot(b"m"), member(a)
    value, at = a.get(key) or (frozenset(), 0)
    kind = a.chance.random()
    if kind < 0.4:
        some = {member(a) for _ in range(a.chance.choice([1, 1, 2, 20]))}
        a.change(("SADD", key, *sorted(some)), len(some - value), (key, (value | some, at)))
    elif kind < 0.6:
        left = value - {one}
        a.change(("SREM", key, one), len(value) - len(left), *([(key, (left, at) if left else None)] if value else []))
    elif kind < 0.7:
        goal = a.hot(b"m")
        other, until = a.get(goal) or (frozenset(), 0)
        if goal == key or one not in value:
            return a.do(("SMOVE", key, goal, one), 1 if one in value else 0)
        left = value - {one}
        a.change(("SMOVE", key, goal, one), 1, (key, (left, at) if left else None), (goal, (other | {one}, until)))
    elif kind < 0.8:
        goal, other = a.hot(b"m"), a.hot(b"m")
        both = value | (a.get(other) or (frozenset(),))[0]
        changes = [(goal, (both, 0) if both else None)] if both or a.get(goal) else []
        a.change(("SUNIONSTORE", goal, key, other), len(both), *changes)
    else:
        a.do(("SMISMEMBER", key, one, b"none"), [1 if one in value else 0, 0])


def family_list(a):
    """Queues: mostly pushed at the tail and popped at the head."""
    key = a.hot(b"l")
    value, at = a.get(key) or ((), 0)

    def become(words, reply, left):
        a.change(words, reply, (key, (left, at) if left else None))

    kind = a.chance.random()
    if len(value) > QUEUE_MAX:
        become(("LTRIM", key, -20, -1), "OK", value[-20:])
    elif kind < 0.35:
        more = tuple(a.value() for _ in range(a.chance.choice([1, 1, 2, 10])))
        become(("RPUSH", key, *more), len(value) + len(more), value + more)
    elif kind < 0.45:
        one = a.value()
        become(("LPUSH", key, one), len(value) + 1, (one, *value))
    elif not value:
        a.do((a.chance.choice(["LPOP", "RPOP"]), key), None)
    elif kind < 0.65:
        become(("LPOP", key), value[0], value[1:])
    elif kind < 0.7:
        become(("BLPOP", key, 0), [key, value[0]], value[1:])
    elif kind < 0.75:
        become(("RPOP", key, 3), list(value[::-1][:3]), value[:-3])
    elif kind < 0.85:
        goal = a.hot(b"l")
        if goal == key:
            return become(("LMOVE", key, key, "LEFT", "RIGHT"), value[0], value[1:] + value[:1])
        other, until = a.get(goal) or ((), 0)
        a.change(("LMOVE", key, goal, "LEFT", "RIGHT"), value[0], (key, (value[1:], at) if value[1:] else None),
                 (goal, (other + value[:1], until)))
    elif kind < 0.9:
        index, one = a.chance.randrange(len(value)), a.value()
        become(("LSET", key, index, one), "OK", (*value[:index], one, *value[index + 1 :]))
    else:
        a.do(("LRANGE", key, -3, -1), list(value[-3:]))


def family_scores(a):
    """Sorted sets: by member, by rank, and popped as a queue of what is due."""
    key, one = a.hot(b"z"), member(a)
    value, at = a.get(key) or ({}, 0)
    order = ordered(value)

    def become(words, reply, left):
        a.change(words, reply, *([(key, (left, at) if left else None)] if left or value else []))

    def without(gone):
        return {m: s for m, s in value.items() if m not in gone}

    kind = a.chance.random()
    if kind < 0.35:
        more = {member(a): a.chance.randrange(-50, 50) for _ in range(a.chance.choice([1, 1, 2, 20]))}
        words = [w for m, score in more.items() for w in (score, m)]
        become(("ZADD", key, *words), len(more.keys() - value.keys()), {**value, **more})
    elif kind < 0.45:
        score = value.get(one, 0) + 7
        become(("ZINCRBY", key, 7, one), b"%d" % score, {**value, one: score})
    elif kind < 0.55:
        become(("ZREM", key, one), 1 if one in value else 0, without([one]))
    elif kind < 0.7:
        gone = order[: a.chance.choice([1, 1, 5])]
        become(("ZPOPMIN", key, max(1, len(gone))), [w for m in gone for w in (m, b"%d" % value[m])], without(gone))
    elif kind < 0.75:
        gone = order[-2:]
        become(("ZREMRANGEBYRANK", key, -2, -1), len(gone), without(gone))
    elif kind < 0.82:
        goal = a.hot(b"z")
        a.change(("ZRANGESTORE", goal, key, 0, 9), len(order[:10]),
                 *([(goal, ({m: value[m] for m in order[:10]}, 0) if order else None)] if order or a.get(goal) else []))
    elif kind < 0.9:
        a.do(("ZRANK", key, one), order.index(one) if one in value else None)
    else:
        a.do(("ZCOUNT", key, -10, 10), sum(1 for score in value.values() if -10 <= score <= 10))


def family_exec(a):
    """Several writes as one: after a crash all of them are there, or none."""
    keys = sorted({a.hot() for _ in range(3)})
    field, value = member(a), a.value()
    key, queue = a.hot(b"h"), a.hot(b"l")
    fields, at = a.get(key) or ({}, 0)
    elements, until = a.get(queue) or ((), 0)
    elements += (value,)
    a.do(("MULTI",), "OK")
    for words in [*(("SET", k, value) for k in keys), ("HSET", key, field, value), ("RPUSH", queue, value),
                  ("LPOP", queue), ("DEL", keys[0])]:
        a.do(words, "QUEUED")
    a.change(("EXEC",), [*["OK"] * len(keys), 0 if field in fields else 1, len(elements), elements[0], 1], (keys[0], None),
             *[(k, (value, 0)) for k in keys[1:]], (key, ({**fields, field: value}, at)),
             (queue, (elements[1:], until) if elements[1:] else None))


def family_bulk(a):
    """Write-once keys that make tables: they fill the tree and are looked for much later."""
    if a.database != a.databases[0]:
        return family_set(a)
    live = a.bulk_next - a.bulk_first
    if live > BULK_MAX:
        keys = [bulk_key(a.bulk_first + i) for i in range(40)]
        a.bulk_first += 40
        there = [key for key in keys if a.get(key)]
        return a.change(("UNLINK", *keys), len(there), *[(key, None) for key in there])
    if live and a.chance.random() < 0.3:
        key = bulk_key(a.chance.randrange(a.bulk_first, a.bulk_next))
        old = a.get(key)
        return a.do(("GET", key), old[0] if old else None)
    key, value = bulk_key(a.bulk_next), a.tag() + NOISE[a.turn % 60000 :][: a.chance.choice([100, 1000, 3000, 8000])]
    a.bulk_next += 1
    return a.change(("SET", key, value), "OK", (key, (value, 0)))


def family_peek(a):
    """A look at somebody else's key: what is shown must stay."""
    other = a.chance.choice(a.others)
    if other is a:
        return family_read(a)
    a.do(("SELECT", other.databases[0]), "OK")
    a.do(("GET", b"s:%02d" % a.chance.randrange(HOT)), a.show)
    return a.do(("SELECT", a.database), "OK")


def family_database(a):
    """Whole databases: emptied, or exchanged."""
    kind = a.chance.random()
    if kind < 0.9:
        return family_read(a)
    first, second = a.databases
    if kind < 0.97:
        a.do(("SELECT", second), "OK")
        a.do(("FLUSHDB",), "OK", {slot: None for slot in a.state if slot[0] == second})
        return a.do(("SELECT", a.database), "OK")
    changes = {slot: None for slot in a.state}
    changes.update({(second if d == first else first, key): cell for (d, key), cell in a.state.items()})
    return a.do(("SWAPDB", first, second), "OK", changes)


FAMILIES = [("set", family_set), ("mset", family_mset), ("number", family_number), ("append", family_append),
            ("read", family_read), ("delete", family_delete), ("rename", family_rename), ("expiry", family_expiry),
            ("brief", family_brief), ("bulk", family_bulk), ("peek", family_peek), ("database", family_database),
            ("hash", family_hash), ("members", family_members), ("list", family_list), ("scores", family_scores),
            ("exec", family_exec)]
WEIGHTS = [12, 10, 8, 6, 8, 6, 6, 6, 5, 30, 3, 1, 10, 10, 12, 10, 4]
