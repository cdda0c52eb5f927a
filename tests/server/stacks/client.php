<?php
// The phpredis extension: values serialized, arrays, pipelines, transactions, scans and messages.
//
// usage: client.php PORT

function expect($what, $got, $wanted) {
    if ($got !== $wanted) {
        fwrite(STDERR, "$what: expected " . var_export($wanted, true) . ", got " . var_export($got, true) . "\n");
        exit(1);
    }
}

function sorted($values) {
    sort($values);
    return $values;
}

function connect() {
    global $argv;
    $redis = new Redis();
    $redis->connect('127.0.0.1', (int) $argv[1], 20.0);
    return $redis;
}

$redis = connect();
$redis->select(4);

$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
$redis->setOption(Redis::OPT_PREFIX, 'app:');
$order = ['id' => 7, 'lines' => [['book', 2], ['pen', 1.5]], 'paid' => false, 'note' => null];
expect('set', $redis->set('order', $order, ['nx', 'ex' => 300]), true);
expect('set nx again', $redis->set('order', 1, ['nx']), false);
expect('get', $redis->get('order'), $order);
expect('mset', $redis->mSet(['x' => [1], 'y' => 'z']), true);
expect('mget', $redis->mGet(['x', 'none', 'y']), [[1], false, 'z']);
expect('an array in a list', [$redis->rPush('queue', ['job' => 1], 'two'), $redis->blPop(['queue'], 20)], [2, ['app:queue', ['job' => 1]]]);
expect('del', $redis->del('x', 'y', 'none'), 2);

$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_IGBINARY);
expect('igbinary', [$redis->set('order', $order), $redis->get('order')], [true, $order]);

$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
$redis->setOption(Redis::OPT_PREFIX, '');
expect('hashes', [$redis->hMSet('h', ['a' => 1, 'b' => 2]), $redis->hIncrBy('h', 'a', 5), $redis->hGetAll('h')],
    [true, 6, ['a' => '6', 'b' => '2']]);
expect('hmget', $redis->hMGet('h', ['b', 'c']), ['b' => '2', 'c' => false]);
expect('sorted sets', [$redis->zAdd('z', 1, 'one', 2, 'two', 3, 'three'), $redis->zRange('z', 0, -1, true),
    $redis->zRevRangeByScore('z', '+inf', 2, ['withscores' => true, 'limit' => [0, 1]])],
    [3, ['one' => 1.0, 'two' => 2.0, 'three' => 3.0], ['three' => 3.0]]);
expect('sets', [$redis->sAdd('s1', 'a', 'b'), $redis->sAdd('s2', 'b'), $redis->sInter('s1', 's2')], [2, 1, ['b']]);
expect('streams', [$redis->xAdd('log', '1-1', ['k' => 'v']), $redis->xRange('log', '-', '+'), $redis->xRead(['log' => '0'])],
    ['1-1', ['1-1' => ['k' => 'v']], ['log' => ['1-1' => ['k' => 'v']]]]);
expect('geo', [$redis->geoAdd('g', 8.8, 53.07, 'Bremen'), $redis->geoRadius('g', 8.8, 53.1, 20, 'km')], [1, ['Bremen']]);
expect('hyperloglog', [$redis->pfAdd('p', ['a', 'b']), $redis->pfCount('p')], [1, 2]);

expect('a pipeline', $redis->pipeline()->set('k', '1')->incr('k')->get('k')->lLen('k')->exec(), [true, 2, '2', false]);
$redis->clearLastError();
expect('a transaction', $redis->multi()->set('k', '5')->incrBy('k', 2)->get('k')->exec(), [true, 7, '7']);
$redis->watch('k');
$other = connect();
$other->select(4);
$other->set('k', 'changed');
expect('a transaction that was too late', $redis->multi()->set('k', 'mine')->exec(), false);
expect('what the other wrote', $redis->get('k'), 'changed');

for ($i = 0; $i < 500; $i++) $redis->set("scan:$i", $i);
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = [];
$cursor = null;
while ($keys = $redis->scan($cursor, 'scan:4??', 37)) $found = array_merge($found, $keys);
expect('scan', sorted($found), array_map(fn($i) => "scan:$i", range(400, 499)));
$cursor = null;
expect('hscan', $redis->hScan('h', $cursor), ['a' => '6', 'b' => '2']);

$child = pcntl_fork();
if ($child === 0) {
    $speaker = connect();
    while ($speaker->pubsub('numpat') === 0);
    expect('receivers', [$speaker->publish('news.north', 'rain'), $speaker->publish('news.south', 'end')], [1, 1]);
    exit(0);
}
$heard = [];
$listener = connect();
try {
    $listener->psubscribe(['news.*'], function ($redis, $pattern, $channel, $message) use (&$heard) {
        $heard[] = [$pattern, $channel, $message];
        if ($message === 'end') $redis->close();
    });
} catch (RedisException $closed) { // the loop's way out
}
pcntl_waitpid($child, $status);
expect('messages', [$heard, pcntl_wexitstatus($status)], [[['news.*', 'news.north', 'rain'], ['news.*', 'news.south', 'end']], 0]);

echo 'phpredis ' . phpversion('redis') . ', PHP ' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION . "\n";
