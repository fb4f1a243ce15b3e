// Servers that stop talking without saying so, for longer than an ordinary test would wait: what hangs is found out,
// and asked anew. All at the same time, because it is only waiting.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http2'
import net from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { data, GRPC, headers, PING, startWire } from '../support/http2-wire.mjs'
import { countersign, leafExtensions, mint } from '../support/spiffe-scene.mjs'
import {
  domain,
  framed,
  jwtBundlesResponse,
  startStub,
  x509BundlesResponse,
  x509Response
} from '../support/workload-stub.mjs'
import { recorded } from '../support/source-events.mjs'
import { until } from '../support/until.mjs'

const { JwtSource, WorkloadApiClient, X509Source } = countersign

const home = domain()
const path = 'spiffe://example.org/billing'
const bundles = x509BundlesResponse({ 'spiffe://example.org': home.ca.der })

/** A message with an SVID that is valid from and to these seconds from now. @param {number} from @param {number} to */
function lasting(from, to) {
  const { der, key } = mint({
    issuer: home.ca,
    extensions: leafExtensions(path),
    from: new Date(Date.now() + from * 1000),
    to: new Date(Date.now() + to * 1000)
  })
  return x509Response({
    svids: [{ id: path, chain: der, key: key.export({ format: 'der', type: 'pkcs8' }), bundle: home.ca.der }]
  })
}

describe('silence', { concurrency: true }, () => {
  test('an agent that forgot to say something new is asked at 70 % of the lifetime', async (t) => {
    // As after 65 of 100 seconds: however slow this machine is, what follows is in place by then.
    const old = lasting(-65, 35)
    const stub = await startStub((call) => call.send(old))
    t.after(() => stub.kill())
    const source = await X509Source.open({ endpoint: stub.endpoint })
    t.after(() => source.close())
    const events = recorded(source)
    const before = source.svid().serialNumber
    const fresh = lasting(-10, 90)
    stub.answer((call) => call.send(fresh))
    await until(() => source.svid().serialNumber !== before, 'the new one', { seconds: 20 })
    const types = events.map(({ type }) => type)
    assert.deepEqual(types.slice(types.indexOf('overdue')), ['overdue', 'connect', 'update'])
    assert.deepEqual([source.counters.connects, source.counters.errors], [2, 0])
    await until(() => stub.open.size === 1, 'the old stream is over', { seconds: 5 })
  })
  test('an SVID that expires is refused from then on, and the agent asked again', async (t) => {
    const old = lasting(-90, 2)
    const stub = await startStub((call) => call.send(old))
    t.after(() => stub.kill())
    const source = await X509Source.open({ endpoint: stub.endpoint })
    t.after(() => source.close())
    const events = recorded(source)
    const { expiresAt } = source.svid()
    await until(
      () => {
        try {
          source.svid()
        } catch (error) {
          return /** @type {any} */ (error).code === 'ERR_SVID_EXPIRED'
        }
      },
      'expired',
      { seconds: 6 }
    )
    assert.ok(Date.now() >= expiresAt.getTime() + 1000)
    await until(() => events.some(({ type }) => type === 'expire'), 'told', { seconds: 3 })
    // What the agent says now is that same SVID: it is refused, and is no reason to hurry.
    await until(() => source.lastError, 'the answer', { seconds: 3 })
    assert.equal(/** @type {any} */ (source.lastError).ignored[0].reason, 'expired')
    assert.throws(() => source.svid(), { code: 'ERR_SVID_EXPIRED', spiffeId: path })
    assert.equal(source.isHealthy(), false)
    const calls = stub.calls.length
    await sleep(1500)
    assert.equal(stub.calls.length, calls)
    stub.push('FetchX509SVID', lasting(-10, 90))
    await until(() => source.isHealthy(), 'and is well again', { seconds: 2 })
  })
  test('an SVID that was told too early for our clock is there when its time has come', async (t) => {
    const stub = await startStub((call) => call.send(lasting(-64, 36)))
    t.after(() => stub.kill())
    const source = await X509Source.open({ endpoint: stub.endpoint })
    t.after(() => source.close())
    const early = lasting(3, 100)
    stub.push('FetchX509SVID', early)
    await until(() => source.lastError, 'refused', { seconds: 2 })
    assert.equal(/** @type {any} */ (source.lastError).ignored[0].reason, 'not_yet_valid')
    stub.answer((call) => call.send(early))
    // Nobody says it again by itself.
    await until(() => Date.now() < source.svid().expiresAt.getTime() - 60_000, 'the new one', { seconds: 15 })
  })
  test('an agent that froze in the middle: everybody gets another connection', async (t) => {
    const told = lasting(-694, 306)
    const server = await startWire({
      request(connection, stream) {
        const [first] = server.connections
        const number = connection.of(1).length
        // The first connection answers the two sources, and then nobody any more.
        if (connection === first && number > 2) return connection.pause()
        const message =
          connection === first
            ? number === 1
              ? told
              : jwtBundlesResponse({ 'spiffe://example.org': home.jwks })
            : number === 1
              ? lasting(-10, 90)
              : jwtBundlesResponse({ 'spiffe://other.org': home.jwks })
        return connection.write(headers(stream, GRPC), data(stream, message))
      }
    })
    t.after(() => server.close())
    const source = await X509Source.open({ endpoint: server.endpoint })
    const tokens = await JwtSource.open({ endpoint: server.endpoint })
    t.after(() => {
      source.close()
      tokens.close()
    })
    const events = recorded(source)
    const before = source.svid().serialNumber
    const took = await until(() => source.svid().serialNumber !== before, 'another SVID', { seconds: 50 })
    t.diagnostic(`${took} s`)
    assert.ok(took > 30)
    const { error } = events.find(({ type }) => type === 'error')
    assert.deepEqual([error.code, error.stage], ['ERR_TIMEOUT', 'waiting for the response'])
    // The other stream had nothing to wait for, and was dead all the same.
    await until(() => tokens.bundles.has('other.org'), 'other bundles', { seconds: 10 })
    assert.equal(server.connections.length, 2)
  })
  test('an agent that takes connections and never says a word: the source says so, and goes on trying', async (t) => {
    const server = await startWire({ greeting: null })
    t.after(() => server.close())
    const source = new X509Source({ endpoint: server.endpoint })
    t.after(() => source.close())
    await until(() => source.lastError, 'an error', { seconds: 45 })
    const error = /** @type {any} */ (source.lastError)
    assert.deepEqual([error.code, error.stage, source.state], ['ERR_TIMEOUT', 'waiting for the response', 'connecting'])
    server.behaviour = {
      greeting: Buffer.alloc(0),
      request: (connection, stream) => connection.write(headers(stream, GRPC), data(stream, lasting(-10, 90)))
    }
    await source.ready({ timeout: 60_000 })
  })
  test('a call that waits for long asks whether anybody is there; a slow agent is, a frozen one is not', async (t) => {
    const server = await startWire({ request() {} })
    t.after(() => server.close())
    const client = new WorkloadApiClient({ endpoint: server.endpoint })
    const late = async () =>
      assert.equal(await client.fetchX509Bundles({ timeout: 5500 }).catch((error) => error.code), 'ERR_TIMEOUT')
    await late()
    await until(() => server.connections[0].of(PING).length === 1, 'it was asked', { seconds: 2 })
    await sleep(5500)
    assert.equal(server.connections[0].destroyed, false, 'a slow one')
    // It has proven to be alive: servers do not like to be asked all the time.
    await late()
    await sleep(500)
    assert.equal(server.connections[0].of(PING).length, 1)
    const other = await startWire({
      request(connection, stream) {
        if (connection === other.connections[0]) return connection.pause()
        return connection.write(headers(stream, GRPC), data(stream, bundles))
      }
    })
    t.after(() => other.close())
    const second = new WorkloadApiClient({ endpoint: other.endpoint })
    assert.equal(await second.fetchX509Bundles({ timeout: 5500 }).catch((error) => error.code), 'ERR_TIMEOUT')
    await sleep(5500)
    assert.equal((await second.fetchX509Bundles()).size, 1)
    assert.equal(other.connections.length, 2)
  })
  test('calls of little patience find out together that nobody answers', async (t) => {
    const server = await startWire({
      request(connection, stream) {
        if (connection === server.connections[0]) return connection.pause()
        return connection.write(headers(stream, GRPC), data(stream, bundles))
      }
    })
    t.after(() => server.close())
    const client = new WorkloadApiClient({ endpoint: server.endpoint, timeout: 200 })
    for (const limit = Date.now() + 15_000; ; await sleep(100)) {
      const outcome = await client.fetchX509Bundles().then(
        () => 'fine',
        (error) => error.code
      )
      if (outcome === 'fine') break
      assert.ok(Date.now() < limit)
    }
    assert.equal(server.connections.length, 2)
  })
  test('a network that answers nothing: the error says that nothing was connected', async (t) => {
    const child = spawn(
      process.execPath,
      [
        '-e',
        `
      const server = require('net').createServer()
      server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    t.after(() => child.kill('SIGKILL'))
    const [port] = await once(child.stdout, 'data')
    // Nobody accepts any more, and there is no room for more who wait: the kernel drops what comes.
    child.kill('SIGSTOP')
    const filling = Array.from({ length: 4 }, () => net.connect(Number(port), '127.0.0.1').on('error', () => {}))
    t.after(() => {
      for (const socket of filling) socket.destroy()
    })
    await sleep(300)
    const endpoint = `tcp://127.0.0.1:${Number(port)}`
    const source = new X509Source({ endpoint })
    t.after(() => source.close())
    const error = await new WorkloadApiClient({ endpoint }).fetchX509Bundles({ timeout: 300 }).catch((error) => error)
    assert.deepEqual([error.code, error.stage], ['ERR_TIMEOUT', 'connecting'])
    const took = await until(() => source.lastError, 'an error', { seconds: 14 })
    assert.ok(took > 8)
    assert.deepEqual(
      [/** @type {any} */ (source.lastError).code, /** @type {any} */ (source.lastError).stage],
      ['ERR_TIMEOUT', 'connecting']
    )
  })
  test('over TCP the kernel asks whether the other end is still there', {
    skip: process.platform !== 'linux' && 'SKIPPED: /proc is needed'
  }, async (t) => {
    const server = createServer()
    server.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
      stream.on('error', () => {})
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.write(framed(jwtBundlesResponse({ 'spiffe://example.org': home.jwks })))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    /** @type {import('node:http2').Http2Session[]} */
    const sessions = []
    server.on('session', (session) => sessions.push(session))
    t.after(() => {
      server.close()
      for (const session of sessions) session.destroy()
    })
    const { port } = /** @type {net.AddressInfo} */ (server.address())
    const source = await JwtSource.open({ endpoint: `tcp://127.0.0.1:${port}` })
    t.after(() => source.close())
    await sleep(300)
    const inodes = new Set(
      readdirSync('/proc/self/fd').map((fd) => {
        try {
          return /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
        } catch {
          return undefined
        }
      })
    )
    const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const ours = readFileSync('/proc/net/tcp', 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((column) => column[2] === remote && inodes.has(column[9]))
    assert.equal(ours.length, 1)
    // "tr tm->when": which timer is running; 02 is the keep-alive timer, and its time is in ticks.
    const [kind, ticks] = ours[0][5].split(':')
    assert.equal(kind, '02')
    assert.ok(parseInt(ticks, 16) <= 60 * 100)
  })
})
