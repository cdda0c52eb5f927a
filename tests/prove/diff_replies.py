"""Replies for diff.py: where one ends, when two of them count as the same, and how redis-cli shows them."""

import re

AGGREGATES = b"*~>"
MESSAGES = (b"message", b"pmessage", b"smessage")
CLOCK_SLACK_S = 60  # the two servers read their clocks at different moments, on a machine that may be busy


def end_of(data, at=0):
    """Where the reply that begins at `at` ends; -1 when it is not all there."""
    left = 1
    while left:
        line = data.find(b"\r\n", at)
        if line < 0:
            return -1
        kind = data[at : at + 1]
        if kind in b"$=!*~>%|":
            n = int(data[at + 1 : line])
            if kind in b"$=!":
                line += n + 2 if n >= 0 else 0
            elif n > 0:
                left += n if kind in AGGREGATES else 2 * n
            left += kind == b"|"  # what an attribute is about follows it
        at = line + 2
        left -= 1
    return at if at <= len(data) else -1


def parts(reply):
    """The replies an array, set, map or push is made of; none for others."""
    if reply[:1] not in b"*~>%" or not reply:
        return []
    at = reply.find(b"\r\n") + 2
    found = []
    while at < len(reply):
        end = end_of(reply, at)
        found.append(reply[at:end])
        at = end
    return found


def text_of(reply):
    """A bulk's or a line's bytes."""
    line = reply.find(b"\r\n")
    return reply[line + 2 : -2] if reply[:1] in b"$=" and reply[1:2] != b"-" else reply[1:line]


def is_message(reply, listening):
    """Something published, rather than the reply to a command."""
    if reply[:1] == b">" or (listening and reply[:1] == b"*"):
        first = parts(reply)
        return bool(first) and text_of(first[0]) in MESSAGES
    return False


# ------------------------------------------------------------------------------------------------------ what may differ


def kind_of(reply):
    return reply[:1], len(parts(reply))


def in_pairs(found):
    return list(zip(found[::2], found[1::2]))


def any_order(words, a, b):
    return a[:1] == b[:1] and sorted(parts(a)) == sorted(parts(b))


def pairs_in_any_order(words, a, b):
    """Fields with values; in RESP3 some come as pairs already."""
    ours, theirs = parts(a), parts(b)
    if b"WITHVALUES" not in words and b"WITHSCORES" not in words and words[0].upper() != b"HGETALL" or ours and parts(ours[0]):
        return any_order(words, a, b)
    return a[:1] == b[:1] and len(ours) == len(theirs) and sorted(in_pairs(ours)) == sorted(in_pairs(theirs))


def whole_scan(words, a, b):
    ours, theirs = parts(a), parts(b)
    if len(ours) != 2 or ours[0] != theirs[0]:
        return False
    found = [sorted(in_pairs(parts(r)) if words[0].upper() in (b"HSCAN", b"ZSCAN") else parts(r)) for r in (ours[1], theirs[1])]
    return found[0] == found[1]


def chance(words, a, b):
    return kind_of(a) == kind_of(b)


def own(words, a, b):
    return a[:1] == b[:1]


def clock(words, a, b):
    if not a[:1] == b[:1] == b":":
        return False
    slack = CLOCK_SLACK_S * (1000 if words[0][:1] in b"pP" else 1)
    return abs(int(a[1:]) - int(b[1:])) <= slack and (int(a[1:]) < 0) == (int(b[1:]) < 0)


def overcounted(words, a, b):
    return a[:1] == b[:1] == b":" and int(a[1:]) >= int(b[1:])


def same_head(words, a, b):
    """A command's name, arity and keys; its flags, categories and tips say more or less."""
    ours, theirs = parts(a), parts(b)
    if len(ours) != len(theirs):
        return False
    for x, y in zip(ours, theirs):
        x, y = parts(x), parts(y)
        if [x[i] for i in (0, 1, 3, 4, 5) if x] != [y[i] for i in (0, 1, 3, 4, 5) if y]:
            return False
    return True


def sorted_by_sort(words, a, b):
    return words[-1] == b"sort:zset" and a[:1] == b[:1]


def unsubscriptions(words, a, b):
    """Several replies in a row: the channels in any order, the counts in theirs."""
    return [kind_of(r) for r in replies_in(a)] == [kind_of(r) for r in replies_in(b)] and \
        sorted(parts(r)[1] for r in replies_in(a)) == sorted(parts(r)[1] for r in replies_in(b))


def replies_in(data):
    at, found = 0, []
    while at < len(data):
        end = end_of(data, at)
        found.append(data[at:end])
        at = end
    return found


# All that may differ: commands, how far, and why. An error must be the same error everywhere.
ALLOWED = [
    ("hkeys hvals smembers sinter sunion sdiff spop keys pubsub|channels pubsub|shardchannels acl|users config|get",
     any_order, "a set or table is told in the order of the server's own"),
    ("hgetall", pairs_in_any_order, "the same, of fields with values"),
    ("acl|list acl|getuser", own, "rules come in an order of the server's own, and in the categories its commands fill; DRYRUN shows what they permit"),
    ("scan hscan sscan zscan", whole_scan, "the same; a whole walk, so that the cursor is 0"),
    ("unsubscribe punsubscribe sunsubscribe", unsubscriptions, "leaves all channels in an order of the server's own"),
    ("srandmember hrandfield zrandmember", chance, "is drawn; how many is not"),
    ("randomkey acl|genpass", own, "is drawn"),
    ("ttl pttl expiretime pexpiretime object|idletime time lastsave", clock, "the clocks are read at different moments"),
    ("object|refcount", own, "Redis shares small integers and what a queued command brought, but not copies"),
    ("dbsize", overcounted, "keys that were overwritten blindly count twice until compaction has met them"),
    ("hello info client|id client|list client|info client|trackinginfo time lastsave memory|usage memory|stats memory|doctor "
     "memory|malloc-stats latency|latest latency|history latency|doctor latency|histogram latency|reset slowlog|get slowlog|len lolwut "
     "debug|object acl|log", own, "tells of the server itself"),
    ("command command|count command|list command|docs client|help acl|cat", own, "the commands there are, with what varve's version has more"),
    ("command|info", same_head, "flags, categories and tips of Redis 7.2"),
    ("object|encoding", sorted_by_sort, "SORT makes a sorted set large in Redis; this key is only sorted"),
]
RULES = {name: rule for names, rule, _ in ALLOWED for name in names.split()}


def same(name, words, ours, theirs):
    """Whether two replies (or all that came for one command) count as the same."""
    if ours == theirs:
        return True
    if ours[:1] in b"-" or theirs[:1] in b"-" or name not in RULES:
        return False
    return RULES[name](words, ours, theirs)


# --------------------------------------------------------------------------------------- as tests/server/commands has it


def quoted(word):
    special = {34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r"}
    return '"' + "".join(special.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in word) + '"'


def word_in_line(word):
    if len(word) > 20 and word.isalnum() and len(set(word)) == 1:
        return f"{word[:1].decode()}*{len(word)}"
    return word.decode() if re.fullmatch(rb"[!-~]+", word) and not re.search(rb"[\"'\\#*]", word) else quoted(word)


def line_of(words):
    return " ".join(map(word_in_line, words))


def shown(reply):
    kind, text = reply[:1], text_of(reply)
    if kind in b"":
        return "(the connection is closed)"
    if kind == b"_" or reply[1:2] == b"-" and kind in b"$*":
        return "(nil)"
    if kind in b"$=":
        return quoted(text)
    if kind in b"*~>%":
        found = parts(reply)
        if not found:
            return {b"%": "(empty hash)", b"~": "(empty set)"}.get(kind, "(empty array)")
        lines = []
        for i, part in enumerate(found, 1):
            head, *rest = shown(part).split("\n")
            lines += [f"{i}) {head}"] + [" " * len(f"{i}) ") + line for line in rest]
        return "\n".join(["(push)"] * (kind == b">") + lines)
    if kind == b"#":
        return "(true)" if text == b"t" else "(false)"
    return {b"-": "(error) ", b":": "(integer) ", b",": "(double) "}.get(kind, "") + text.decode(errors="backslashreplace")
