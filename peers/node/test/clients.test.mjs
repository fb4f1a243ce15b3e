// Libraries that hand their options to tls.connect, or take an agent: each is who it is to a server of ours, and somebody
// new after a rotation. What is spoken inside does not matter here, and most of them find nobody to talk to.
import assert from 'node:assert/strict'
import tls from 'node:tls'
import { test } from 'node:test'
import {
  authorize,
  client,
  face,
  leaf,
  listening,
  rootA,
  serve,
  server,
  sourceOf,
  svidOf
} from '../../../__test__/support/tls-scene.mjs'
import { until } from '../../../__test__/support/until.mjs'

const { clientOptions, createAgent, peerOf, secureServer, serverOptions } = face
const serverSource = sourceOf(server)
const toServer = authorize.id('spiffe://a.test/server')

/** Who came to a server that ends every connection. @param {import('node:test').TestContext} t */
async function listener(t) {
  /** @type {string[]} */
  const seen = []
  const one = tls.createServer(serverOptions(serverSource, authorize.any()), (socket) => {
    seen.push(`${peerOf(socket)}`)
    socket.on('error', () => {}).end()
  })
  secureServer(one, serverSource, authorize.any())
  const port = await listening(one)
  t.after(() => one.close())
  return { port, seen }
}

/**
 * One attempt of each library, and what ends it. What they fail with is their own affair.
 * @type {Record<string, (port: number, options: any) => Promise<() => unknown>>}
 */
const CLIENTS = {
  async kafkajs(port, ssl) {
    const { Kafka, logLevel } = (await import('kafkajs')).default
    const admin = new Kafka({
      brokers: [`localhost:${port}`],
      ssl,
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 }
    }).admin()
    admin.connect().catch(() => {})
    return () => admin.disconnect()
  },
  async mqtt(port, options) {
    const { default: mqtt } = await import('mqtt')
    const one = mqtt.connect({ protocol: 'mqtts', host: 'localhost', port, reconnectPeriod: 0, ...options })
    one.on('error', () => {})
    return () => one.end(true)
  },
  async amqplib(port, options) {
    const { default: amqp } = await import('amqplib')
    amqp.connect({ protocol: 'amqps', hostname: 'localhost', port }, options).catch(() => {})
    return () => {}
  },
  async nats(port, options) {
    const { connect } = (await import('nats')).default
    connect({
      servers: `localhost:${port}`,
      reconnect: false,
      tls: /** @type {any} */ ({ ...options, handshakeFirst: true })
    }).catch(() => {})
    return () => {}
  },
  async '@nats-io/transport-node'(port, options) {
    const { connect } = await import('@nats-io/transport-node')
    connect({ servers: `localhost:${port}`, reconnect: false, tls: { ...options, handshakeFirst: true } }).catch(
      () => {}
    )
    return () => {}
  }
}

for (const [name, connect] of Object.entries(CLIENTS)) {
  test(`${name}: who it is, and who it is after a rotation`, async (t) => {
    const { port, seen } = await listener(t)
    const source = sourceOf(client)
    const options = clientOptions(source, toServer)
    for (const id of ['spiffe://a.test/client', 'spiffe://a.test/next']) {
      const end = await connect(port, options)
      await until(() => seen.includes(id), `${id} comes`, { seconds: 20 })
      await end()
      source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/next')))
    }
    // A server that is not welcome is told nothing.
    /** @type {(string | undefined)[]} */
    const rules = []
    const end = await connect(
      port,
      clientOptions(source, authorize.id('spiffe://a.test/other'), {
        onReject: (/** @type {any} */ one) => rules.push(one.rule)
      })
    )
    await until(() => rules.length > 0, 'the server is refused', { seconds: 20 })
    assert.equal(rules[0], 'not_authorized')
    await end()
  })
}

for (const [name, get] of /** @type {[string, (url: string, agent: any) => Promise<string>][]} */ ([
  ['axios', async (url, httpsAgent) => (await (await import('axios')).default.get(url, { httpsAgent })).data],
  ['got', async (url, https) => (await import('got')).default(url, { agent: { https }, retry: { limit: 0 } }).text()]
])) {
  test(`${name}: who it is, and who it is after a rotation`, async (t) => {
    const { port } = await serve(t, serverSource, authorize.any())
    const source = sourceOf(client)
    const agent = createAgent(source, toServer, { agent: { keepAlive: false } })
    const url = `https://localhost:${port}/`
    assert.equal(await get(url, agent), 'spiffe://a.test/client')
    source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/next')))
    assert.equal(await get(url, agent), 'spiffe://a.test/next')
    const other = createAgent(source, authorize.id('spiffe://a.test/other'))
    await assert.rejects(
      get(url, other),
      (/** @type {any} */ error) =>
        (error.rule ?? error.cause?.rule ?? error.code) === 'not_authorized' || error.code === 'ERR_UNTRUSTED_SVID'
    )
    agent.destroy()
    other.destroy()
  })
}
