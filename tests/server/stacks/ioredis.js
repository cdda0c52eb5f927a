// ioredis: pipelines, transactions, key prefixes, streams of a scan, messages as events, connecting again.
//
// usage: ioredis.js PORT

const assert = require('node:assert').strict;
const { once } = require('node:events');
const Redis = require('ioredis');

const port = Number(process.argv[2]);

async function main() {
  const redis = new Redis({ port, db: 6, connectionName: 'io' });
  const site = new Redis({ port, db: 6, keyPrefix: 'site:' });
  assert.equal(await redis.set('k', 'v', 'EX', 100, 'NX'), 'OK');
  assert.deepEqual(await redis.pipeline().set('n', 1).incr('n').lpush('k', 'x').get('n').exec().then((replies) =>
    replies.map(([error, value]) => (error ? error.message : value))),
  ['OK', 2, 'WRONGTYPE Operation against a key holding the wrong kind of value', '2']);
  assert.deepEqual(await redis.multi().hset('h', { a: 1, b: 2 }).hgetall('h').exec(), [[null, 2], [null, { a: '1', b: '2' }]]);
  await redis.watch('n');
  await site.mset({ a: 1, b: 2 });
  await redis.call('SET', 'n', 5);
  assert.deepEqual(await redis.multi().incr('n').exec(), null);
  assert.deepEqual((await redis.keys('site:*')).sort(), ['site:a', 'site:b']);
  assert.deepEqual(await site.mget('a', 'b', 'c'), ['1', '2', null]);
  assert.deepEqual(await redis.getBuffer('k'), Buffer.from('v'));

  const listener = new Redis({ port });
  assert.equal(await listener.subscribe('alarm'), 1);
  assert.equal(await listener.psubscribe('news.*'), 2);
  const [message, pmessage] = [once(listener, 'message'), once(listener, 'pmessage')];
  assert.deepEqual([await redis.publish('alarm', 'fire'), await redis.publish('news.north', 'rain')], [1, 1]);
  assert.deepEqual([await message, await pmessage], [['alarm', 'fire'], ['news.*', 'news.north', 'rain']]);

  const reader = new Redis({ port, db: 6 });
  const popped = reader.blpop('jobs', 20);
  await redis.rpush('jobs', 'work');
  assert.deepEqual(await popped, ['jobs', 'work']);
  const read = reader.xread('BLOCK', 20000, 'STREAMS', 'log', '$');
  while (!(await redis.client('LIST')).includes('cmd=xread')); // so that $ means now
  await redis.xadd('log', '1-1', 'f', 'v');
  assert.deepEqual(await read, [['log', [['1-1', ['f', 'v']]]]]);

  await Promise.all(Array.from({ length: 300 }, (_, i) => redis.sadd('members', `m${i}`)));
  const found = new Set();
  for await (const some of redis.sscanStream('members', { match: 'm1*', count: 20 })) some.forEach((member) => found.add(member));
  assert.equal(found.size, 111);

  // A connection that is cut comes back with its name, its database and its subscriptions.
  assert.equal(await reader.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), 2);
  await once(redis, 'ready');
  assert.deepEqual([await redis.client('GETNAME'), await redis.get('k')], ['io', 'v']);
  assert.equal(await reader.client('KILL', 'TYPE', 'pubsub'), 1);
  await once(listener, 'ready');
  while ((await redis.publish('alarm', 'again')) === 0);
  [redis, site, listener, reader].forEach((client) => client.disconnect());
  console.log(`ioredis ${require('ioredis/package.json').version}, Node ${process.version}`);
}

main().catch((error) => { console.error(error); process.exit(1); });
