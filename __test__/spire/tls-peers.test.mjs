// Mutual TLS with peers of other makes, on either side, under real SPIRE and under the agent of this package: within a
// trust domain and across two, while identities rotate, and when somebody is not welcome.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { untilWithin } from '../support/until.mjs'
import { agentDomains, spireDomains } from './tls-domains.mjs'

const until = untilWithin(60)
import { startPeers } from './tls-peers.mjs'
import { authorize } from 'countersign'
import { clientOptions, peerOf, secureServer, serverOptions } from 'countersign/tls'
import { refusal } from '../support/outcome.mjs'

/** @typedef {import('./tls-domains.mjs').Domain} Domain */
const VERSIONS = /** @type {const} */ (['TLSv1.2', 'TLSv1.3'])
/** A serial number, whoever wrote it. @param {string | undefined} serial */
const plain = (serial) => serial && BigInt(`0x${serial}`).toString(16)

/**
 * A server of ours that sends lines back; whom it saw, and whom it refused.
 * @param {Domain} domain @param {any} welcome @param {Record<string, unknown>} [limits]
 */
async function ourServer(domain, welcome, limits) {
  /** @type {any[]} */
  const rejections = []
  /** @type {{ id: string, serial: string | undefined, protocol: string | null, resumed: boolean }[]} */
  const seen = []
  const options = { ...limits, onReject: (/** @type {any} */ one) => rejections.push(one) }
  const server = tls.createServer(serverOptions(domain.source, welcome, limits), (socket) => {
    // One that was refused is destroyed, and has no peer.
    if (socket.destroyed) return
    seen.push({
      id: `${peerOf(socket)}`,
      serial: plain(socket.getPeerCertificate().serialNumber),
      protocol: socket.getProtocol(),
      resumed: socket.isSessionReused()
    })
    socket.on('error', () => {})
    createInterface({ input: socket })
      .on('line', (line) => (line === 'bye' ? socket.end() : socket.write(`${line}\n`)))
      .on('error', () => {})
  })
  server.on('tlsClientError', () => {})
  secureServer(server, domain.source, welcome, options)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A test that failed is to end.
  server.unref()
  return {
    port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
    seen,
    rejections,
    rules: () => rejections.splice(0).map(({ rule, code }) => rule ?? code),
    close: () => server.close()
  }
}

/** A connection of ours that says lines and waits for what comes back. */
class OurConnection {
  /** @param {Domain} domain @param {number} port @param {any} welcome @param {Record<string, unknown>} [limits] */
  constructor(domain, port, welcome, limits) {
    this.socket = tls.connect({ port, host: '127.0.0.1', ...clientOptions(domain.source, welcome, limits) })
    this.lines = createInterface({ input: this.socket })
  }

  /** @param {string} line */
  async say(line) {
    this.socket.write(`${line}\n`)
    return new Promise((resolve, reject) => {
      this.lines.once('line', resolve)
      // The interface tells of the same errors again.
      this.lines.on('error', reject)
      this.socket
        .once('error', reject)
        .once('close', () => reject(Object.assign(new Error('closed'), { code: 'closed' })))
    })
  }

  get seen() {
    return {
      id: `${peerOf(this.socket)}`,
      serial: plain(this.socket.getPeerCertificate().serialNumber),
      protocol: this.socket.getProtocol()
    }
  }
}

for (const [system, begin] of /** @type {const} */ ([
  ['real SPIRE', spireDomains],
  ['the embedded agent', agentDomains]
])) {
  describe(`TLS under ${system}`, () => {
    /** @type {import('./tls-domains.mjs').Domains} */
    let domains
    /** @type {ReturnType<typeof startPeers>} */
    let peers
    before(
      async () => {
        domains = await begin()
        peers = startPeers(domains.directory)
      },
      { timeout: 120_000 }
    )
    after(() => domains?.stop())

    for (const kind of /** @type {const} */ (['go', 'rust', 'openssl'])) {
      for (const version of VERSIONS) {
        const limits = { minVersion: version, maxVersion: version }
        /** @type {readonly (readonly ['local' | 'foreign', 'local' | 'foreign'])[]} */
        const pairs = [
          ['local', 'local'],
          ['local', 'foreign'],
          ['foreign', 'local']
        ]
        test(`${kind}, ${version}: a client of theirs at a server of ours`, async () => {
          for (const [our, their] of pairs) {
            const [ours, theirs] = [domains[our], domains[their]]
            const server = await ourServer(ours, authorize.id(theirs.id), limits)
            const answer = await peers[kind].call(theirs, server.port, ours.id, { version })
            assert.equal(answer.line, 'good day', `${our}, ${their}: ${answer.error} ${server.rules()}`)
            if (kind !== 'openssl')
              assert.deepEqual(
                [answer.peer, answer.serial, answer.protocol],
                [ours.id, plain(ours.source.svid().serialNumber), version.replace('v', ' ')]
              )
            assert.deepEqual(
              server.seen.map(({ id, protocol, resumed }) => ({ id, protocol, resumed })),
              [{ id: theirs.id, protocol: version, resumed: false }]
            )
            assert.deepEqual(server.rules(), [])
            server.close()
            // Somebody else is welcome here: refused, by that rule, and told to us alone.
            const closed = await ourServer(ours, authorize.id(`${theirs.id}/other`), limits)
            const refused = await peers[kind].call(theirs, closed.port, ours.id, { version })
            assert.ok(refused.error !== undefined && refused.line === undefined, JSON.stringify(refused))
            assert.deepEqual(
              [closed.rejections[0]?.claimedIds.map(String), closed.rules(), closed.seen.length],
              [[theirs.id], ['not_authorized'], 0]
            )
            if (kind !== 'openssl')
              assert.match(
                (await peers[kind].call(theirs, closed.port, `${ours.id}/other`)).error ?? '',
                /unexpected ID|authoriz|invalid peer certificate/i
              )
            closed.close()
          }
        })
        test(`${kind}, ${version}: a client of ours at a server of theirs`, async () => {
          for (const [our, their] of pairs) {
            const [ours, theirs] = [domains[our], domains[their]]
            const server = await peers[kind].serve(theirs, ours.id, { version })
            const connection = new OurConnection(ours, server.port, authorize.id(theirs.id), limits)
            assert.equal(await connection.say('good day'), kind === 'openssl' ? 'yad doog' : 'good day')
            assert.deepEqual([connection.seen.id, connection.seen.protocol], [theirs.id, version])
            connection.socket.destroy()
            if (kind !== 'openssl')
              await server.program.says(
                'who came',
                ({ peer, serial }) => peer === ours.id && serial === plain(ours.source.svid().serialNumber)
              )
            const other = new OurConnection(ours, server.port, authorize.id(`${theirs.id}/other`), limits)
            assert.equal(await refusal(other.say('secret')), 'not_authorized')
            assert.equal(
              server.program.lines.some(({ line }) => line === 'secret'),
              false
            )
            await server.program.kill('SIGKILL')
            if (kind === 'openssl') continue
            const closed = await peers[kind].serve(theirs, `${ours.id}/other`)
            assert.doesNotMatch(
              await refusal(new OurConnection(ours, closed.port, authorize.id(theirs.id), limits).say('good day')),
              /^accepted/
            )
            await closed.program.says('why', ({ error }) => error !== undefined)
            await closed.program.kill('SIGKILL')
          }
        })
      }
    }

    for (const version of VERSIONS) {
      test(`openssl, ${version}: resumes no session with a server of ours`, async () => {
        const { local } = domains
        const limits = { minVersion: version, maxVersion: version }
        const server = await ourServer(local, authorize.id(local.id), limits)
        const { text } = await peers.openssl.call(local, server.port, local.id, { version }, ['-reconnect'])
        assert.doesNotMatch(text, /^Reused/m)
        assert.ok((text.match(/^New, /gm)?.length ?? 0) >= 2, text)
        await until(() => server.seen.length >= 2, 'every connection was seen')
        assert.ok(server.seen.every(({ id, resumed }) => id === local.id && !resumed))
        server.close()
      })
    }

    test('identities rotate on both sides while connections go on, and nothing fails', async () => {
      const { local, foreign } = domains
      const server = await ourServer(local, authorize.id(foreign.id))
      const caller = peers.rust.keepCalling(foreign, server.port, local.id)
      const theirs = await Promise.all([peers.go.serve(foreign, local.id), peers.rust.serve(foreign, local.id)])
      const kept = await Promise.all(
        theirs.map(async ({ port }) => {
          const connection = new OurConnection(local, port, authorize.id(foreign.id))
          assert.equal(await connection.say('first'), 'first')
          return connection
        })
      )
      // Under our agent every workload has an SVID of its own.
      const before = { local: plain(local.source.svid().serialNumber), servers: kept.map(({ seen }) => seen.serial) }
      /** @type {string[]} */
      const failures = []
      /** @type {(string | undefined)[][]} */
      const serials = [[], []]
      let done = false
      const calls = theirs.map(async ({ port }, index) => {
        while (!done) {
          const connection = new OurConnection(local, port, authorize.id(foreign.id))
          await connection.say('again').then(
            () => serials[index].push(connection.seen.serial),
            (error) => failures.push(`a new connection: ${error.message}`)
          )
          connection.socket.destroy()
          await kept[index].say('still').catch((error) => failures.push(`the first connection: ${error.message}`))
          await pause(100)
        }
      })
      await caller.says('the first connection goes on', ({ kept }) => kept === true)
      await local.rotate()
      const ourNew = plain(local.source.svid().serialNumber)
      await caller.says('our new SVID', ({ kept, serial }) => kept === undefined && serial === ourNew)
      await Promise.all(theirs.map(({ program }) => program.says('our new SVID', ({ serial }) => serial === ourNew)))
      await foreign.rotate()
      await until(() => server.seen.at(-1)?.serial !== server.seen[0].serial, 'a client of theirs with its new SVID')
      await until(
        () => serials.every((some, index) => some.length > 0 && some.at(-1) !== before.servers[index]),
        'servers of theirs with their new SVIDs'
      )
      await local.settle()
      await foreign.settle()
      const since = caller.lines.length
      const rounds = serials.map((some) => some.length)
      await caller.says(
        'its first connection goes on',
        ({ kept, serial }) => kept === true && serial === before.local,
        { since }
      )
      await caller.says('a new one as well', ({ kept, serial }) => kept === undefined && serial === ourNew, { since })
      await until(() => serials.every((some, index) => some.length > rounds[index] + 1), 'ours as well')
      done = true
      await Promise.all(calls)
      assert.deepEqual(
        [failures, server.rules(), caller.lines.filter(({ error }) => error !== undefined), caller.running],
        [[], [], [], true]
      )
      for (const [index, connection] of kept.entries()) {
        assert.equal(connection.seen.serial, before.servers[index])
        connection.socket.destroy()
      }
      const { line, error } = await peers.openssl.call(foreign, server.port, local.id, { version: 'TLSv1.3' })
      assert.equal(line, 'good day', `${error}`)
      await Promise.all([caller, ...theirs.map(({ program }) => program)].map((program) => program.kill('SIGKILL')))
      server.close()
    })

    // The last, because it is not taken back.
    test('without the bundle of the other nobody is let in, whoever the peer is', async () => {
      const { local, foreign } = domains
      const server = await ourServer(local, authorize.any())
      const theirs = await Promise.all([peers.go.serve(foreign, 'any'), peers.rust.serve(foreign, 'any')])
      await domains.separate()
      for (const { program, port } of theirs) {
        assert.doesNotMatch(await refusal(new OurConnection(local, port, authorize.any()).say('secret')), /^accepted/)
        assert.equal(
          program.lines.some(({ line }) => line !== undefined),
          false
        )
        await program.kill('SIGKILL')
      }
      for (const peer of [peers.go, peers.rust])
        assert.notEqual((await peer.call(foreign, server.port, 'any')).error, undefined)
      assert.equal(server.seen.length, 0)
      server.close()
    })
  })
}
