"""redis-py as applications use it, but for what needs scripting (its Lock releases by a script).

usage: redis_py.py PORT
"""

import asyncio
import sys
import threading

import redis
import redis.asyncio

from common import expect

PORT = int(sys.argv[1])


def pipelines(r):
    with r.pipeline(transaction=False) as pipe:
        replies = pipe.hset("user:1", mapping={"name": "Ada", "born": 1815}).hincrby("user:1", "born", 1).hgetall("user:1").execute()
    expect("a pipeline", replies, [2, 1816, {"name": "Ada", "born": "1816"}])
    with r.pipeline() as pipe:
        pipe.set("a", 1).lpush("a", "x").incr("a")
        done, error, count = pipe.execute(raise_on_error=False)
        expect("a transaction with an error", (done, type(error), count), (True, redis.ResponseError, 2))


def optimistic_locking(r):
    r.set("stock", 10)

    def buy(pipe):
        left = int(pipe.get("stock"))
        if left == 10:
            r.decrby("stock", 3)  # somebody else was quicker: the first try must fail
        pipe.multi()
        pipe.set("stock", left - 1)

    expect("a transaction that was tried twice", r.transaction(buy, "stock"), [True])
    expect("what is left", r.get("stock"), "6")
    with r.pipeline() as pipe:
        pipe.watch("stock")
        r.delete("stock")
        pipe.multi()
        pipe.ping()
        try:
            pipe.execute()
            raise SystemExit("EXEC went through although a watched key was deleted")
        except redis.WatchError:
            pass


def locks(r):
    """A lock as people build it without scripts: SET NX PX, and the release in a transaction."""

    def release(pipe):
        expect("the holder", pipe.get("lock"), "me")
        pipe.multi()
        pipe.delete("lock")

    expect("taking it", r.set("lock", "me", nx=True, px=60000), True)
    expect("taking it again", r.set("lock", "you", nx=True, px=60000), None)
    expect("releasing it", r.transaction(release, "lock"), [1])
    mine = r.lock("resource", timeout=60, blocking=False)
    expect("redis-py's own lock", (mine.acquire(), mine.locked(), mine.owned()), (True, True, True))
    expect("a second one", r.lock("resource", timeout=60, blocking=False).acquire(), False)


def messages(r):
    r.config_set("notify-keyspace-events", "KEA")
    with r.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("weather.*", "__keyevent@0__:del")
        expect("subscriptions", [listener.get_message(timeout=20)["data"] for _ in range(3)], [1, 2, 3])
        expect("who listens", (r.pubsub_numsub("news"), r.pubsub_numpat()), ([("news", 1)], 2))
        expect("receivers", (r.publish("news", "hello"), r.publish("weather.north", "rain"), r.publish("sports", "x")), (1, 1, 0))
        r.set("gone", 1)
        r.delete("gone")
        got = [listener.get_message(timeout=20) for _ in range(3)]
        expect("messages", [(m["type"], m["channel"], m["data"]) for m in got],
               [("message", "news", "hello"), ("pmessage", "weather.north", "rain"), ("pmessage", "__keyevent@0__:del", "gone")])
    heard = threading.Event()
    listener = r.pubsub()
    listener.subscribe(alarm=lambda message: heard.set() if message["data"] == "fire" else None)
    thread = listener.run_in_thread(sleep_time=5)
    r.publish("alarm", "fire")
    expect("the thread heard it", heard.wait(20), True)
    thread.stop()
    r.publish("alarm", "wake up, you are stopped")
    thread.join()


def blocking_pops(r):
    got = []
    thread = threading.Thread(target=lambda: got.extend(r.blpop(["urgent", "normal"], timeout=20) for _ in range(3)))
    thread.start()
    r.rpush("normal", "one", "two")
    thread_two = threading.Thread(target=lambda: got.append(r.bzpopmin("scores", timeout=20)))
    thread_two.start()
    r.rpush("normal", "three")
    thread.join()
    r.zadd("scores", {"second": 2, "first": 1})
    thread_two.join()
    expect("what workers got", got, [("normal", "one"), ("normal", "two"), ("normal", "three"), ("scores", "first", 1.0)])
    r.rpush("inbox", "job")
    expect("a move", (r.blmove("inbox", "doing", 1, "LEFT", "RIGHT"), r.lrange("doing", 0, -1)), ("job", ["job"]))
    expect("a pop in vain", r.blpop("nothing", timeout=0.05), None)


def streams(r):
    ids = [r.xadd("events", {"n": n}, id=f"{n}-0", maxlen=100, approximate=True) for n in range(1, 6)]
    expect("ids", ids, ["1-0", "2-0", "3-0", "4-0", "5-0"])
    expect("a range", r.xrange("events", min="2", max="3"), [("2-0", {"n": "2"}), ("3-0", {"n": "3"})])
    expect("backwards", r.xrevrange("events", count=1), [("5-0", {"n": "5"})])
    got = []
    reader = threading.Thread(target=lambda: got.extend(r.xread({"events": "5-0"}, block=20000)))
    reader.start()
    r.xadd("events", {"n": 6}, id="6-0")
    reader.join()
    expect("what a waiting reader got", got, [["events", [("6-0", {"n": "6"})]]])
    expect("trimming", (r.xtrim("events", maxlen=2, approximate=False), r.xlen("events")), (4, 2))
    expect("its state", r.xinfo_stream("events")["last-generated-id"], "6-0")


def the_other_types(r):
    expect("ZADD", r.zadd("board", {"ann": 10, "bob": 20, "cid": 15}), 3)
    expect("the best", r.zrange("board", 0, 1, desc=True, withscores=True), [("bob", 20.0), ("cid", 15.0)])
    expect("ZADD GT", (r.zadd("board", {"ann": 5}, gt=True, ch=True), r.zscore("board", "ann")), (0, 10.0))
    r.sadd("odd", 1, 3, 5)
    r.sadd("prime", 2, 3, 5)
    expect("sets", (r.sinter("odd", "prime"), r.sdiff("odd", "prime"), r.sismember("odd", 2)), ({"3", "5"}, {"1"}, False))
    r.geoadd("cities", (8.8017, 53.0793, "Bremen", 9.9937, 53.5511, "Hamburg"))
    expect("distance", round(r.geodist("cities", "Bremen", "Hamburg", unit="km")), 95)
    expect("nearby", r.geosearch("cities", longitude=8.8, latitude=53.1, radius=20, unit="km"), ["Bremen"])
    r.pfadd("visitors", *range(100))
    expect("visitors", 97 <= r.pfcount("visitors") <= 103, True)
    expect("bits", (r.setbit("bits", 7, 1), r.bitcount("bits"), r.bitfield("bits").incrby("u8", 0, 5).execute()), (0, 1, [6]))
    expect("a scan", sorted(r.hscan_iter("user:1")), [("born", "1816"), ("name", "Ada")])
    r.rpush("unsorted", 3, 1, 2)
    expect("SORT", r.sort("unsorted", desc=True), ["3", "2", "1"])
    expect("types", [r.type(key) for key in ("board", "odd", "events", "user:1", "stock")], ["zset", "set", "stream", "hash", "none"])


async def asynchronous():
    r = redis.asyncio.Redis(port=PORT, decode_responses=True)
    counts = await asyncio.gather(*[r.incr("counter") for _ in range(100)])  # a connection each: no order among them
    expect("many at once", sorted(counts), list(range(1, 101)))
    async with r.pipeline(transaction=True) as pipe:
        expect("a transaction", await pipe.set("x", 1).incr("x").get("x").execute(), [True, 2, "2"])
    async with r.pubsub() as listener:
        await listener.subscribe("async")
        expect("the subscription", (await listener.get_message(timeout=20))["type"], "subscribe")
        await r.publish("async", "hi")
        expect("the message", (await listener.get_message(timeout=20))["data"], "hi")
    waiting = asyncio.create_task(r.brpop("queue", timeout=20))
    await r.lpush("queue", "work")
    expect("a waiting pop", await waiting, ("queue", "work"))
    await r.close()


def main():
    r = redis.Redis(port=PORT, decode_responses=True)
    for part in (pipelines, optimistic_locking, locks, messages, blocking_pops, streams, the_other_types):
        part(r)
    asyncio.run(asynchronous())
    print(f"redis-py {redis.__version__}")


main()
