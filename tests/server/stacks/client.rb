# redis-rb: transactions with WATCH, pipelines, pub/sub, blocking pops, scans.
#
# usage: client.rb PORT

require "redis"

def expect(what, got, wanted)
  abort "#{what}: expected #{wanted.inspect}, got #{got.inspect}" unless got == wanted
end

PORT = ARGV.fetch(0).to_i

def connect
  Redis.new(port: PORT, db: 5, timeout: 30, id: "ruby")
end

redis = connect
other = connect

# The types.
expect "set and get", [redis.set("k", "v\u00e4rve"), redis.get("k").force_encoding("UTF-8")], ["OK", "v\u00e4rve"]
expect "set nx", [redis.set("k", "x", nx: true), redis.set("n", "1", nx: true, ex: 100), redis.ttl("n").between?(1, 100)], [false, true, true]
expect "hashes", [redis.mapped_hmset("h", { "a" => "1", "b" => "2" }), redis.hgetall("h"), redis.mapped_hmget("h", "b")],
       ["OK", { "a" => "1", "b" => "2" }, { "b" => "2" }]
expect "lists", [redis.rpush("l", %w[a b c]), redis.lrange("l", 0, -1), redis.lmove("l", "m", "LEFT", "RIGHT")], [3, %w[a b c], "a"]
expect "sets", [redis.sadd("s", %w[x y]), redis.smembers("s").sort, redis.sismember("s", "z")], [2, %w[x y], false]
expect "sorted sets", [redis.zadd("z", [[1, "one"], [2.5, "two"]]), redis.zrange("z", 0, -1, with_scores: true), redis.zscore("z", "two")],
       [2, [["one", 1.0], ["two", 2.5]], 2.5]
expect "streams", [redis.xadd("x", { "f" => "v" }, id: "1-1"), redis.xrange("x"), redis.xread("x", "0")],
       ["1-1", [["1-1", { "f" => "v" }]], { "x" => [["1-1", { "f" => "v" }]] }]

# Many commands at once.
futures = []
replies = redis.pipelined do |pipe|
  100.times { |i| pipe.set("p#{i}", i) }
  futures << pipe.get("p99")
end
expect "a pipeline", [replies.size, replies.last, futures[0].value], [101, "99", "99"]
expect "a transaction", redis.multi { |tx| tx.incr("n"); tx.hincrby("h", "a", 10); tx.lpop("l") }, [2, 11, "b"]
expect "a transaction that is given up", (redis.multi { |tx| tx.set("k", "lost"); raise ArgumentError } rescue "given up"), "given up"
expect "nothing of it", redis.get("k").force_encoding("UTF-8"), "v\u00e4rve"

# Optimistic locking: the first try is too late, the second is not.
tries = 0
loop do
  done = redis.watch("account") do
    balance = redis.get("account").to_i
    other.set("account", 100) if (tries += 1) == 1
    redis.multi { |tx| tx.set("account", balance + 1) }
  end
  break if done
end
expect "optimistic locking", [tries, redis.get("account")], [2, "101"]

# Messages: the subscriber's loop runs in a thread of its own.
heard = Queue.new
listener = Thread.new do
  connect.psubscribe("news.*", "alarm") do |on|
    on.psubscribe { |pattern, count| heard << [pattern, count] }
    on.pmessage do |pattern, channel, message|
      heard << [pattern, channel, message]
      heard << :end if message == "end"
      raise StopIteration if message == "end"
    end
  end
rescue StopIteration
  nil
end
expect "subscriptions", [heard.pop, heard.pop], [["news.*", 1], ["alarm", 2]]
expect "receivers", [redis.publish("news.north", "rain"), redis.publish("sports", "x"), redis.publish("alarm", "end")], [1, 0, 1]
expect "messages", [heard.pop, heard.pop, heard.pop], [["news.*", "news.north", "rain"], ["alarm", "alarm", "end"], :end]
listener.join
connect.subscribe_with_timeout(20, "once") do |on|
  on.subscribe { redis.publish("once", "only") }
  on.message { |channel, message| heard << [channel, message]; raise StopIteration }
end rescue StopIteration
expect "a message", heard.pop, ["once", "only"]

# Waiting for work.
worker = Thread.new { c = connect; [c.brpop("jobs", "more", timeout: 20), c.bzpopmin("scores", timeout: 20)] }
redis.lpush("more", "job")
redis.zadd("scores", 3, "three")
expect "blocking pops", worker.value, [["more", "job"], ["scores", "three", 3.0]]
expect "a pop in vain", redis.blpop("nothing", timeout: 1), nil

expect "a scan", redis.scan_each(match: "p9*", count: 7).sort, (["p9"] + (90..99).map { |i| "p#{i}" }).sort
expect "an error", (redis.incr("h") rescue $!.message), "WRONGTYPE Operation against a key holding the wrong kind of value"
expect "its name", redis.client("list").map { |c| c["name"] }.uniq, ["ruby"]
expect "INFO", Gem::Version.new(redis.info("server")["redis_version"]) >= Gem::Version.new("7.0"), true
puts "redis-rb #{Redis::VERSION}, Ruby #{RUBY_VERSION}"
