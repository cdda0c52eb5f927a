// node-redis: transactions, WATCH, messages, blocking pops, scans, binary values. Of either generation: 4 from Debian speaks
// RESP2, 5 from npm RESP3 too.
//
// usage: node_redis.js PROTOCOL PORT

const assert = require('node:assert').strict;
const redis = require('redis');
const version = require('redis/package.json').version;

const options = { socket: { port: Number(process.argv[3]), host: '127.0.0.1', reconnectStrategy: false } };
if (process.argv[2] === '3') Object.assign(options, { RESP: 3, unstableResp3: true });  // unstable: of XREAD

async function connect() {
  const client = redis.createClient(options);
  client.on('error', (error) => { throw error; });
  await client.connect();
  return client;
}

async function types(client) {
  assert.equal(await client.set('greeting', 'v\u00e4rve', { EX: 100, NX: true }), 'OK');
  assert.equal(await client.set('greeting', 'x', { NX: true }), null);
  assert.equal(await client.get('greeting'), 'v\u00e4rve');
  assert.equal(await client.hSet('h', { a: '1', b: '2' }), 2);
  assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: '2' });
  assert.deepEqual(await client.hmGet('h', ['b', 'c']), ['2', null]);
  assert.equal(await client.zAdd('z', [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }]), 2);
  assert.deepEqual(await client.zRangeWithScores('z', 0, -1), [{ value: 'one', score: 1 }, { value: 'two', score: 2.5 }]);
  assert.deepEqual(await client.zRange('z', '-inf', '+inf', { BY: 'SCORE', REV: false, LIMIT: { offset: 1, count: 1 } }), ['two']);
  assert.equal(await client.zScore('z', 'two'), 2.5);
  assert.equal(await client.sAdd('s', ['x', 'y']), 2);
  assert.deepEqual([...(await client.sMembers('s'))].sort(), ['x', 'y']);
  assert.equal(await client.rPush('l', ['a', 'b', 'c']), 3);
  assert.deepEqual(await client.lRange('l', 0, -1), ['a', 'b', 'c']);
  assert.equal(await client.lMove('l', 'm', 'LEFT', 'RIGHT'), 'a');
  assert.equal(await client.xAdd('x', '1-1', { f: 'v' }), '1-1');
  assert.equal((await client.xRange('x', '-', '+'))[0].message.f, 'v');
  assert.equal(await client.incrByFloat('real', 0.5).then(Number), 0.5);
  await assert.rejects(client.incr('h'), /WRONGTYPE Operation against a key holding the wrong kind of value/);
}

async function transactions(client, other) {
  assert.deepEqual(await client.multi().set('n', '1').incr('n').lPop('l').exec(), ['OK', 2, 'b']);
  await client.watch('n');
  await other.set('n', '10');
  await assert.rejects(client.multi().set('n', 'lost').exec(), redis.WatchError);
  assert.equal(await client.get('n'), '10');
  const many = await Promise.all(Array.from({ length: 500 }, (_, i) => client.set(`p${i}`, String(i))));
  assert.ok(many.every((reply) => reply === 'OK'));
  assert.equal((await client.mGet(Array.from({ length: 500 }, (_, i) => `p${i}`)))[499], '499');
}

async function messages(client) {
  const listener = await connect();
  const heard = [];
  let ended;
  const end = new Promise((resolve) => { ended = resolve; });
  const hear = (message, channel) => {
    heard.push([channel, message]);
    if (message === 'end') ended();
  };
  await listener.subscribe('alarm', hear);
  await listener.pSubscribe('news.*', hear);
  assert.equal(await client.publish('news.north', 'rain'), 1);
  assert.equal(await client.publish('sports', 'x'), 0);
  assert.equal(await client.publish('alarm', 'end'), 1);
  await end;
  assert.deepEqual(heard, [['news.north', 'rain'], ['alarm', 'end']]);
  await listener.unsubscribe('alarm');
  await listener.pUnsubscribe('news.*');
  assert.equal(await client.publish('alarm', 'late'), 0);
  assert.equal(String(await listener.ping()), 'PONG');
  await listener.quit();
}

async function waiting(client, other) {
  const popped = other.brPop(['jobs', 'more'], 20);
  const read = connect().then(async (reader) => {
    const entries = await reader.xRead({ key: 'x', id: '1-1' }, { BLOCK: 20000 });
    await reader.quit();
    return JSON.stringify(entries);  // its shape differs between generations and protocols
  });
  await client.lPush('more', 'job');
  assert.deepEqual({ ...(await popped) }, { key: 'more', element: 'job' });
  await client.xAdd('x', '2-1', { f: 'later' });
  assert.match(await read, /2-1.*later/);
}

async function scans(client) {
  const found = [];
  for await (const keys of client.scanIterator({ MATCH: 'p49*', COUNT: 13 })) found.push(...[keys].flat());
  assert.deepEqual(found.sort(), ['p49', ...Array.from({ length: 10 }, (_, i) => `p49${i}`)]);
}

async function main() {
  const client = await connect();
  const other = await connect();
  await types(client);
  await transactions(client, other);
  await messages(client);
  await waiting(client, other);
  await scans(client);
  assert.match(await client.info('server'), /redis_version:7/);
  await client.quit();
  await other.quit();
  console.log(`node-redis ${version}, RESP${options.RESP || 2}, Node ${process.version}`);
}

main().catch((error) => { console.error(error); process.exit(1); });
