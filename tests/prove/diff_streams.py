"""Runs streams of commands on two servers for diff.py: draws them, sends them, and compares what comes."""

import itertools
import socket

import common  # noqa: F401  (the path to harness)
from diff_families import DATA
from diff_replies import end_of, is_message, parts, replies_in, same, text_of
from diff_server_families import DEFAULTS, SERVER, Step
from diff_words import USERS, Maker
from harness import encode

FAMILIES = {**DATA, **SERVER}
SUBSCRIBING = {b"SUBSCRIBE": b"subscribe", b"PSUBSCRIBE": b"psubscribe", b"SSUBSCRIBE": b"ssubscribe"}
UNSUBSCRIBING = {b"UNSUBSCRIBE": b"subscribe", b"PUNSUBSCRIBE": b"psubscribe", b"SUNSUBSCRIBE": b"ssubscribe"}
# Take arguments that they do not take in Redis 7.0, or come in an order of their own where more of them is asked for.
NOT_SPOILT = {b"ZRANK", b"ZREVRANK", b"SCAN", b"HSCAN", b"SSCAN", b"ZSCAN", b"SPOP", b"COMMAND", b"QUIT", b"SHUTDOWN", b"RESET",
              b"CLIENT", b"MULTI", b"EXEC", b"DISCARD", b"DEBUG"}
TIMEOUT_LAST = {b"BLPOP", b"BRPOP", b"BZPOPMIN", b"BZPOPMAX", b"BLMOVE", b"BRPOPLPUSH"}  # another last word might be a long time
REPLY_TIMEOUT_S = 300   # a busy machine may starve a server for long
DATABASES = 3
READ = {b"string": [b"GET"], b"hash": [b"HGETALL"], b"set": [b"SMEMBERS"], b"list": [b"LRANGE", b"0", b"-1"],
        b"zset": [b"ZRANGE", b"0", b"-1", b"WITHSCORES"], b"stream": [b"XINFO", b"STREAM", b"FULL", b"COUNT", b"0"]}


class Drawer(Maker):
    """Draws the steps of a stream from some families."""

    def __init__(self, chance, families):
        super().__init__(chance)
        self.families = families
        self.may_queue = [False, False]     # whether a MULTI of that connection may be open
        self.may_watch = [False, False]
        self.connection = 0

    def words_of(self, family):
        return self.one(FAMILIES[family])(self)

    def events(self):
        """Commands on data, for a listener to hear of."""
        found = [self.words_of(self.one([f for f in DATA if f not in ("sort", "blocking")])) for _ in range(self.one([1, 3, 6]))]
        return [words for drawn in found for words in (drawn if isinstance(drawn[0], list) else [drawn])]

    def steps(self):
        """The next steps: one, mostly."""
        if self.chance.random() < 0.02:
            self.connection = 1 - self.connection
        if self.may_queue[self.connection] and self.chance.random() < 0.1:
            drawn = [self.one([[b"EXEC"], [b"EXEC"], [b"DISCARD"]])]
        else:
            drawn = self.words_of(self.one(self.families))
            if not isinstance(drawn[0], (list, Step)):
                drawn = [self.spoilt(drawn)]
        made = [d if isinstance(d, Step) else Step(self.connection, d) for d in drawn]
        return [Step(s.connection, [self.case(s.words[0])] + s.words[1:]) for s in made if self.note(s)]

    def note(self, step):
        """Keeps track of MULTI; False for what has no business in it: subscribing, of which each channel is a reply."""
        first = step.words[0].upper()
        ends = first in (b"EXEC", b"DISCARD") and self.may_queue[step.connection] or first in (b"RESET", b"QUIT")
        if len(step.words) == 1 and (ends or first == b"MULTI"):
            self.may_queue[step.connection] = not ends
            self.may_watch[step.connection] &= not ends
        self.may_watch[step.connection] |= first == b"WATCH"
        if any(self.may_watch) and first in (b"SETBIT", b"BITFIELD"):
            return False  # one that changes the encoding alone is a write in varve, and to WATCH
        if not self.may_queue[step.connection]:
            return True
        # DEBUG OBJECT runs when the EXEC is committed.
        about_object = [w.upper() for w in step.words[:2]] == [b"DEBUG", b"OBJECT"]
        return not about_object and first not in SUBSCRIBING and first not in UNSUBSCRIBING

    def spoilt(self, words):
        """Now and then a word too few or too many."""
        draw = self.chance.random()
        if words[0] in NOT_SPOILT or draw > 0.06:
            return words
        if draw < 0.03 or words[0] in TIMEOUT_LAST:
            return words[:-1] or words
        return words + [self.value()[:1000]]


class Peer:
    """One connection to one server."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.at = b"", 0
        self.closed = False
        self.subscribed = {kind: set() for kind in SUBSCRIBING.values()}
        self.messages = []

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # what it has said before is read still

    def next(self):
        """The next reply, or b"" at the end of the connection."""
        while (end := end_of(self.data, self.at)) < 0:
            try:
                more = self.socket.recv(1 << 18)
            except ConnectionError:
                more = b""
            if not more:
                self.closed = True
                return b""
            self.data, self.at = self.data[self.at :] + more, 0
        reply, self.at = self.data[self.at : end], end
        return reply

    def reply(self):
        """The next reply to a command; messages before it are kept."""
        while True:
            reply = self.next()
            if not is_message(reply, any(self.subscribed.values())):
                return reply
            self.messages.append(reply)

    def replies_to(self, words):
        """All that comes for a command: several replies where it is about several channels."""
        first = words[0].upper()
        reply = self.reply()
        if first == b"RESET" and reply[:1] == b"+":
            self.subscribed = {kind: set() for kind in self.subscribed}
        kind = SUBSCRIBING.get(first) or UNSUBSCRIBING.get(first)
        if kind is None or reply[:1] not in b"*>":
            return reply
        known = self.subscribed[kind]
        count = len(words) - 1 or max(1, len(known))
        replies = [reply] + [self.reply() for _ in range(count - 1)]
        for reply in filter(None, replies):  # the connection may have ended
            (known.add if first in SUBSCRIBING else known.discard)(text_of(parts(reply)[1]))
        return b"".join(replies)

    def close(self):
        self.socket.close()


class Difference(Exception):
    """Two servers answered differently."""

    def __init__(self, number, words, ours, theirs):
        super().__init__(words)
        self.number, self.words, self.ours, self.theirs = number, words, ours, theirs

    def kind(self, name):
        """What stays the same while its stream is reduced."""
        return name, self.ours[:1], self.theirs[:1], self.ours[:12] if self.ours[:1] == b"-" else b""


class Pair:
    """The same stream on both servers, one step or pipeline after the other."""

    def __init__(self, ports, names, count=lambda name, n=1: None):
        self.ports = ports
        self.names = names      # of the commands with subcommands
        self.count = count
        self.protocol = [2, 2]  # by connection, as HELLO answered
        self.queued = [None, None]      # the commands of an open MULTI, by connection
        self.peers = [None, None]       # (ours, theirs) by connection
        self.transcript = []    # (step, theirs), for who wants to show them

    def name_of(self, words):
        first = words[0].lower().decode("latin-1")
        if first in self.names and len(words) > 1:
            return f"{first}|{words[1].lower().decode('latin-1')}"
        return first

    def fresh(self):
        """Both servers as they were at their start, as far as commands change it."""
        reset = [[b"CLIENT", b"UNPAUSE"], [b"FLUSHALL"], [b"ACL", b"DELUSER"] + USERS, [b"ACL", b"LOG", b"RESET"], [b"SLOWLOG", b"RESET"],
                 [b"LATENCY", b"RESET"], [b"CONFIG", b"RESETSTAT"], [b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"]]
        reset += [[b"CONFIG", b"SET"] + pair for pair in DEFAULTS]
        for port in self.ports:
            peer = Peer(port)
            peer.send(b"".join(encode(*words) for words in reset))
            for words in reset:
                reply = peer.next()
                if reply[:1] == b"-" or not reply:
                    raise AssertionError(f"{words}: {reply!r}")
            peer.close()

    def close(self):
        for connection in range(2):
            self.drop(connection)

    def drop(self, connection):
        for peer in self.peers[connection] or ():
            peer.close()
        self.peers[connection], self.queued[connection], self.protocol[connection] = None, None, 2

    def run(self, steps, pipeline):
        """Runs and compares `steps`, up to so many at once; raises Difference."""
        at = 0
        while at < len(steps):
            connection = steps[at].connection
            end = at
            while end < len(steps) and end - at < pipeline and steps[end].connection == connection:
                end += 1
                if steps[end - 1].words[0].upper() == b"QUIT":
                    break
            self.batch(at, steps[at:end])
            at = end
        self.compare_messages(at)

    def batch(self, number, steps):
        connection = steps[0].connection
        if self.peers[connection] is None:
            self.peers[connection] = tuple(Peer(port) for port in self.ports)
        data = b"".join(encode(*step.words) for step in steps)
        for peer in self.peers[connection]:
            peer.send(data)
        for i, step in enumerate(steps, number):
            ours, theirs = (self.reply_of(name, peer, step) for name, peer in zip(("varve", "redis"), self.peers[connection]))
            self.transcript.append((step, theirs))
            self.compare(i, connection, step.words, ours, theirs)
            if not ours:
                return self.drop(connection)  # closed on both: what follows in this batch went nowhere

    def reply_of(self, name, peer, step):
        try:
            return peer.replies_to(step.words)
        except TimeoutError:
            raise AssertionError(f"no reply from {name} within {REPLY_TIMEOUT_S} s: {step}") from None

    def compare(self, number, connection, words, ours, theirs):
        name = self.name_of(words)
        self.count("replies compared")
        if name == "exec" and ours[:1] == theirs[:1] == b"*" and self.queued[connection] and kind_and_count(ours) == kind_and_count(theirs):
            for queued, a, b in zip(self.queued[connection], parts(ours), parts(theirs)):
                self.compare_one(number, self.name_of(queued), queued, a, b)
        else:
            self.compare_one(number, name, words, ours, theirs)
        if name == "hello" and ours[:1] in b"%*":
            self.protocol[connection] = 3 if ours[:1] == b"%" else 2
        self.count(f"replies:resp{self.protocol[connection]}")
        if ours == b"+QUEUED\r\n":
            self.queued[connection].append(words)
        elif name == "multi" and ours[:1] == b"+":
            self.queued[connection] = []
        elif name in ("exec", "discard", "reset"):
            self.queued[connection] = None
            if name == "reset":
                self.protocol[connection] = 2

    def compare_one(self, number, name, words, ours, theirs):
        if not same(name, words, ours, theirs):
            raise Difference(number, words, ours, theirs)
        if ours[:1] == b"-":
            self.count("errors compared")
            self.count(f"refused:{name}")
        elif ours != b"+QUEUED\r\n":
            self.count(f"command:{name}")

    def compare_messages(self, number):
        """What was published came to both in the same order; whether before or after a reply does not matter."""
        for connection, peers in enumerate(self.peers):
            if peers is None or not any(any(peer.subscribed.values()) or peer.messages for peer in peers):
                continue
            self.batch(number, [Step(connection, [b"PING"])])
            ours, theirs = (by_pattern(peer.messages) for peer in peers)
            self.count("messages compared", len(ours))
            for a, b in zip(ours + [b""] * len(theirs), theirs + [b""] * (len(ours) - len(theirs))):
                if a != b:
                    raise Difference(number, [b"(message)"], a, b)

    def compare_content(self, number):
        """Keys, types, encodings, times and values of both servers, read over connections of their own."""
        self.close()
        for database in range(DATABASES):
            peers = [Peer(port) for port in self.ports]
            try:
                self.ask(number, peers, [[b"SELECT", b"%d" % database]])
                keys = self.ask(number, peers, [[b"KEYS", b"*"]])[0]
                keys = sorted(text_of(key) for key in parts(keys))
                types = self.ask(number, peers, [[b"TYPE", key] for key in keys])
                reads = [[b"DBSIZE"]]
                for key, reply in zip(keys, types):
                    name, *more = READ[text_of(reply)]
                    read = [name, more[0], key] + more[1:] if name == b"XINFO" else [name, key] + more
                    reads += [[b"OBJECT", b"ENCODING", key], [b"PEXPIRETIME", key], read]
                self.ask(number, peers, reads)
                self.count("keys compared", len(keys))
            finally:
                for peer in peers:
                    peer.close()
        self.count("contents compared")

    def ask(self, number, peers, commands):
        replies = []
        for peer in peers:
            peer.send(b"".join(encode(*words) for words in commands))
        for words in commands:
            ours, theirs = (peer.next() for peer in peers)
            if not same(self.name_of(words), words, ours, theirs):
                raise Difference(number, words, ours, theirs)
            replies.append(ours)
        return replies


def kind_and_count(reply):
    return reply[: reply.find(b"\r\n")]


def by_pattern(messages):
    """Sorts what came for the several patterns that one thing published has met: they come in the order of the server's own."""
    return [m for _, same_thing in itertools.groupby(messages, key=lambda m: parts(m)[-2:]) for m in sorted(same_thing)]
