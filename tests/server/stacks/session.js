// A page that counts its visits in the session, kept by express-session in connect-redis. /leave ends the session.
//
// usage: session.js SERVERS-PORT PORT

const http = require('node:http');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const { createClient } = require('redis');

async function main() {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}/3` });
  client.on('error', () => {});  // it connects again by itself, and commands wait for that
  await client.connect();
  const store = new RedisStore({ client, prefix: 'node:', ttl: 600 });
  const load = session({ store, secret: 'x', resave: false, saveUninitialized: false });
  const answers = {
    '/leave': (request, done) => request.session.destroy((error) => done(error ? String(error) : 'left')),
    '/login': (request, done) => {
      const { visits } = request.session;
      request.session.regenerate((error) => {
        Object.assign(request.session, { visits, user: { name: 'ann', groups: [1, 2] } });
        done(error ? String(error) : 'welcome');
      });
    },
    '/store': async (_, done) => done(JSON.stringify([await store.length(), (await store.all()).length])),
  };
  const count = (request, done) => {
    request.session.visits = (request.session.visits || 0) + 1;
    const { visits, user } = request.session;
    done(JSON.stringify({ visits, user }));
  };
  http.createServer((request, response) => {
    load(request, response, () => (answers[request.url] || count)(request, (text) => response.end(text)));
  }).listen(Number(process.argv[3]), '127.0.0.1');
}

main();
