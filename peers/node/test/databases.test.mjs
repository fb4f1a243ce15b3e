// docs/databases.md against a real PostgreSQL and a real Redis: what is not welcome stays out, and while a pool is busy,
// identities and authorities change on both sides.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { setTimeout as pause } from 'node:timers/promises'
import { authorize, face, leaf, rootA, rootB, sourceOf, svidOf } from '../../../__test__/support/tls-scene.mjs'
import { freePort } from '../../../__test__/support/free-port.mjs'
import { untilWithin } from '../../../__test__/support/until.mjs'
import { Database, define, postgres, recipe, redisServer } from './databases.mjs'

const until = untilWithin(60)

const { clientOptions, peerOf } = face
const hex = (/** @type {any} */ serial) => BigInt(`0x${serial}`).toString(16)

/** What somebody holds whom nobody here knows. */
const stranger = sourceOf(svidOf(leaf(rootA, 'spiffe://a.test/billing')))

/**
 * Every authority and every SVID changes, in the order in which operators do it: announced, used, forgotten.
 * @param {Database} database
 * @param {{ loaded: () => unknown, used: () => unknown }} sees what tells that all have taken it
 */
async function rotate(database, { loaded, used }) {
  const { agent, source } = database
  agent.rotateAuthority('prepare')
  await until(
    () => source.bundle('example.org').authorities.length === 2 && database.authorities() === 2,
    'both authorities are known'
  )
  await until(loaded, 'the server has read them')
  agent.rotateAuthority('activate')
  const before = source.svid().serialNumber
  database.renew()
  await until(() => source.svid().serialNumber !== before, 'a new SVID of ours')
  await until(used, 'both sides show their new SVIDs')
  agent.rotateAuthority('forget')
  await until(
    () => source.bundle('example.org').authorities.length === 1 && database.authorities() === 1,
    'the old authority is forgotten'
  )
}

test('PostgreSQL, with client certificates', {
  skip: !postgres && 'SKIPPED: no PostgreSQL here (apt-get install postgresql)'
}, async (t) => {
  const bin = path.dirname(/** @type {string} */ (postgres))
  const [configuration, hba, shell, client] = recipe('PostgreSQL').map(({ text }) => text)
  const database = new Database('postgresql', 'postgres')
  t.after(() => database.stop())
  await database.startAgent()
  const [data, sockets, port] = [database.own('data'), database.own('sockets'), await freePort()]
  const { uid, gid } = database.user
  execFileSync(path.join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'], {
    cwd: '/',
    stdio: 'pipe',
    uid,
    gid,
    env: { PATH: process.env.PATH, LC_ALL: 'C' }
  })
  const conf = database.write(
    'postgresql.conf',
    `${database.here(configuration)}port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '${sockets}'\nfsync = off\n`
  )
  // The guide's line, and a way for us to set it up.
  const access = database.write('pg_hba.conf', `local all postgres trust\n${hba}`)
  database.shell(shell, { PATH: `${bin}:${process.env.PATH}`, PGDATA: data })
  await until(() => database.authorities() === 1, 'the files are there')
  const server = database.start(/** @type {string} */ (postgres), [
    '-D',
    data,
    '-c',
    `config_file=${conf}`,
    '-c',
    `hba_file=${access}`
  ])
  await server.listens(path.join(sockets, `.s.PGSQL.${port}`))
  /** @param {string[]} queries */
  const admin = async (...queries) => {
    const one = new pg.Client({ host: sockets, port, user: 'postgres', database: 'postgres' })
    await one.connect()
    let result
    for (const query of queries) result = await one.query(query)
    await one.end()
    return result?.rows[0]
  }
  await until(() => admin('select 1').catch(() => false), 'it takes queries')
  await admin('create role billing login', 'create role other login', 'create database shop owner billing')

  process.env.SPIFFE_ENDPOINT_SOCKET = database.agent.endpoint
  process.env.PGPORT = String(port)
  assert.match(client, /maxLifetimeSeconds: 1800/)
  const { pool, source } = await define(client.replace('maxLifetimeSeconds: 1800', 'maxLifetimeSeconds: 1'), [
    'pool',
    'source'
  ])
  t.after(() => {
    source.close()
  })
  assert.deepEqual((await pool.query('select current_user as name')).rows, [{ name: 'billing' }])

  // Who is not welcome: no certificate, nobody's certificate, another user, and no TLS at all.
  const welcome = authorize.id('spiffe://example.org/postgresql')
  const attempt = async (/** @type {Record<string, any>} */ options) => {
    const one = new pg.Client({
      host: 'localhost',
      port,
      user: 'billing',
      database: 'shop',
      ssl: clientOptions(source, welcome),
      connectionTimeoutMillis: 20_000,
      ...options
    })
    one.on('error', () => {})
    const said = await one.connect().then(
      () => 'connected',
      (error) => error.rule ?? error.code ?? error.message
    )
    // One that never was connected may not tell that it ended.
    const ended = one.end().catch(() => {})
    if (said === 'connected') await ended
    return said
  }
  assert.equal(await attempt({}), 'connected')
  assert.equal(await attempt({ user: 'other' }), '28000')
  assert.equal(await attempt({ ssl: false }), '28000')
  assert.notEqual(await attempt({ ssl: { rejectUnauthorized: false } }), 'connected')
  const forged = svidOf(
    leaf(rootB, 'spiffe://example.org/billing', { subjectAltName: 'URI:spiffe://example.org/billing,DNS:billing' })
  )
  assert.notEqual(
    await attempt({ ssl: { rejectUnauthorized: false, key: forged.keyPem(), cert: forged.chainPem() } }),
    'connected'
  )
  // And a server that is not: another name, a trust domain that we know nothing of.
  assert.equal(
    await attempt({ ssl: clientOptions(source, authorize.id('spiffe://example.org/other')) }),
    'not_authorized'
  )
  assert.match(await attempt({ ssl: clientOptions(stranger, authorize.any()) }), /UNABLE_TO|SELF_SIGNED|DEPTH_ZERO/)

  const [ours, theirs] = [new Set(), new Set()]
  pool.on('connect', ({ connection }) => {
    assert.equal(`${peerOf(connection.stream)}`, 'spiffe://example.org/postgresql')
    theirs.add(hex(connection.stream.getPeerCertificate().serialNumber))
  })
  /** @type {string[]} */
  const failures = []
  let [done, queries] = [false, 0]
  // A test that failed is to end.
  t.after(() => {
    done = true
  })
  pool.on('error', (error) => failures.push(error.message))
  const load = Array.from({ length: 4 }, async () => {
    while (!done) {
      await pool.query('select client_serial::text as serial from pg_stat_ssl where pid = pg_backend_pid()').then(
        ({ rows: [{ serial }] }) => {
          queries++
          ours.add(BigInt(serial).toString(16))
        },
        (error) => failures.push(error.message)
      )
      await pause(2)
    }
  })
  await until(() => ours.size > 0 && theirs.size > 0, 'both sides were seen')
  for (let round = 0; round < 2; round++) {
    const before = theirs.size
    await rotate(database, {
      loaded: async () => (await admin('select pg_conf_load_time() as at')).at > database.published(),
      used: () => theirs.size > before && ours.has(hex(source.svid().serialNumber))
    })
  }
  const { totalCount } = pool
  await until(() => queries > 200 && totalCount > 0, 'queries go on')
  done = true
  await Promise.all(load)
  assert.deepEqual(failures, [])
  assert.ok(ours.size >= 3 && theirs.size >= 3, `${ours.size} and ${theirs.size} certificates`)
  t.diagnostic(`${queries} queries, ${ours.size} SVIDs of ours and ${theirs.size} of the server, none failed`)
  await pool.end()
})

test('Redis, by ioredis and node-redis', {
  skip: !redisServer && 'SKIPPED: no Redis here (apt-get install redis-server)'
}, async (t) => {
  const [configuration, shell, client] = recipe('Redis').map(({ text }) => text)
  const database = new Database('redis', 'redis')
  t.after(() => database.stop())
  await database.startAgent()
  const port = await freePort()
  const elsewhere = (/** @type {string} */ text) => text.replaceAll('6379', String(port))
  const conf = database.write(
    'redis.conf',
    `${elsewhere(database.here(configuration))}bind 127.0.0.1 -::1\nsave ""\ndir ${database.own('data')}\n`
  )
  // The real one, which leaves behind what was there when it was begun: to tell by the clock takes one that ticks often enough.
  const [bin, begun, told] = [database.own('bin'), path.join(database.run, 'begun'), path.join(database.run, 'told')]
  writeFileSync(
    path.join(bin, 'redis-cli'),
    `#!/bin/sh\nreadlink ${path.join(database.svid, '..svids')} >${begun}\n/usr/bin/redis-cli "$@" && mv ${begun} ${told}\n`
  )
  chmodSync(path.join(bin, 'redis-cli'), 0o755)
  database.shell(shell, { PATH: `${bin}:${process.env.PATH}` })
  await until(() => database.authorities() === 1, 'the files are there')
  const server = database.start(/** @type {string} */ (redisServer), [conf])
  await server.listens(path.join(database.run, 'redis.sock'))

  process.env.SPIFFE_ENDPOINT_SOCKET = database.agent.endpoint
  const { redis, client: other, source } = await define(elsewhere(client), ['redis', 'client', 'source'])
  t.after(() => {
    redis.disconnect()
    other.destroy?.()
    source.close()
  })
  /** @type {string[]} */
  const failures = []
  for (const one of [redis, other]) one.on('error', (/** @type {Error} */ error) => failures.push(error.message))
  await other.connect()
  assert.deepEqual([await redis.set('by', 'ioredis'), await other.get('by')], ['OK', 'ioredis'])
  assert.equal(`${peerOf(redis.stream)}`, 'spiffe://example.org/redis')

  const { Redis } = await import('ioredis')
  const attempt = async (/** @type {any} */ tls) => {
    const one = new Redis({
      host: 'localhost',
      port,
      tls,
      lazyConnect: true,
      retryStrategy: () => null,
      enableReadyCheck: false
    })
    let why = 'connected'
    one.on('error', (error) => {
      why = /** @type {any} */ (error).rule ?? /** @type {any} */ (error).code
    })
    await one
      .connect()
      .then(() => one.ping())
      .catch(() => {
        if (why === 'connected') why = 'closed'
      })
    one.disconnect()
    return why
  }
  const welcome = authorize.id('spiffe://example.org/redis')
  assert.equal(await attempt(clientOptions(source, welcome)), 'connected')
  assert.equal(await attempt(clientOptions(source, authorize.id('spiffe://example.org/other'))), 'not_authorized')
  assert.match(await attempt(clientOptions(stranger, authorize.any())), /UNABLE_TO|SELF_SIGNED|DEPTH_ZERO/)
  const forged = svidOf(leaf(rootB, 'spiffe://example.org/billing'))
  for (const nobody of [{}, { key: forged.keyPem(), cert: forged.chainPem() }])
    assert.notEqual(await attempt({ rejectUnauthorized: false, ...nobody }), 'connected')

  let [done, commands] = [false, 0]
  t.after(() => {
    done = true
  })
  const theirs = new Set()
  const count = (/** @type {Promise<unknown>} */ command) =>
    command.then(
      () => commands++,
      (error) => failures.push(error.message)
    )
  const load = [
    ...[redis, other].map(async (one) => {
      for (; !done; await pause(2)) await count(one.incr('count'))
    }),
    (async () => {
      for (; !done; await pause(50)) {
        const fresh = new Redis({ host: 'localhost', port, tls: clientOptions(source, welcome) })
        fresh.on('error', (error) => failures.push(error.message))
        await count(fresh.ping())
        theirs.add(hex(fresh.stream.getPeerCertificate().serialNumber))
        fresh.disconnect()
      }
    })()
  ]
  await until(() => theirs.size > 0, 'the server was seen')
  for (let round = 0; round < 2; round++) {
    const before = theirs.size
    await rotate(database, {
      loaded: () => existsSync(told) && readFileSync(told, 'utf8').trim() === database.edition(),
      used: () => theirs.size > before
    })
  }
  const before = commands
  await until(() => commands > before + 100, 'commands go on')
  done = true
  await Promise.all(load)
  assert.deepEqual(failures, [])
  // Cut off, a client comes back as who it is now.
  redis.stream.destroy()
  assert.equal(await redis.ping(), 'PONG')
  assert.ok(theirs.has(hex(redis.stream.getPeerCertificate().serialNumber)))
  t.diagnostic(`${commands} commands, ${theirs.size} SVIDs of the server, none failed`)
})
