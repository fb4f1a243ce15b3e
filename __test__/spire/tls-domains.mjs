// Two trust domains that know each other, once by real SPIRE and once by the agent of this package, with an identity in
// each for whoever has our uid.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'
import { X509Source } from 'countersign'
import { startAgent } from 'countersign/agent'
import { untilWithin } from '../support/until.mjs'

const until = untilWithin(60)

const LOCAL = { name: 'example.org', id: 'spiffe://example.org/billing' }
const FOREIGN = { name: 'example-federated.org', id: 'spiffe://example-federated.org/shop' }

/**
 * @typedef {object} Domain
 * @property {string} name
 * @property {string} id of every workload here
 * @property {string} endpoint
 * @property {any} source an X509Source
 * @property {() => Promise<void>} rotate a new SVID for everybody
 * @property {() => Promise<void>} settle everybody has had the time to take the new one: what is old may go
 */

/**
 * @typedef {object} Domains
 * @property {string} directory
 * @property {Domain} local
 * @property {Domain} foreign
 * @property {() => Promise<void>} separate neither knows the other from now on
 * @property {() => Promise<void>} stop
 */

/** @param {Domain} domain @param {() => Promise<unknown> | unknown} change */
async function renewed({ name, source }, change) {
  const before = source.svid().serialNumber
  await change()
  await until(() => source.svid().serialNumber !== before, `a new SVID of ${name}`)
}

/** @param {Domain[]} domains */
const separated = (domains) =>
  until(() => domains.every(({ source }) => source.context().bundles.size === 1), 'neither has the bundle of the other')

/** @returns {Promise<Domains>} */
export async function spireDomains() {
  const spire = await startSpire({ x509SvidTtl: 3600 })
  const begin = async (
    /** @type {typeof LOCAL} */ { name, id },
    /** @type {import('./trust-domain.mjs').TrustDomain} */ trust,
    /** @type {string} */ other
  ) => {
    const entry = await trust.createEntry({ spiffeId: id, federatesWith: [other] })
    /** @type {Domain} */
    const domain = {
      name,
      id,
      endpoint: trust.endpoint,
      source: await X509Source.open({ endpoint: trust.endpoint }),
      rotate: () => renewed(domain, () => trust.updateEntry(entry)),
      settle: async () => {}
    }
    return domain
  }
  try {
    const local = await begin(LOCAL, spire.local, FOREIGN.name)
    const foreign = await begin(FOREIGN, spire.foreign, LOCAL.name)
    await until(
      () => [local, foreign].every(({ source }) => source.context().bundles.size === 2),
      'both have both bundles'
    )
    return {
      directory: spire.directory,
      local,
      foreign,
      async separate() {
        await spire.removeFederation()
        await separated([local, foreign])
      },
      async stop() {
        for (const { source } of [local, foreign]) source.close()
        await spire.stop()
      }
    }
  } catch (error) {
    await spire.stop()
    throw error
  }
}

/** @returns {Promise<Domains>} */
export async function agentDomains() {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-tls-peers-'))
  const bundleFile = (/** @type {string} */ name) => path.join(directory, `${name}.json`)
  let revision = 0
  // The DNS name makes a rule another one, so that the SVID is made anew.
  const rule = (/** @type {string} */ spiffeId, /** @type {string[]} */ federatesWith) => ({
    match: { uid: process.getuid?.() },
    spiffeId,
    federatesWith,
    dnsNames: [`n${++revision}.test`]
  })
  const start = (/** @type {typeof LOCAL} */ { name, id }, /** @type {string} */ other, known = true) =>
    startAgent({
      rules: [rule(id, known ? [other] : [])],
      workloadApi: {
        trustDomain: name,
        stateDir: path.join(directory, name),
        ...(known && { federatesWith: { [other]: { bundleFile: bundleFile(other) } } })
      }
    })
  /** @type {any[]} */
  const agents = []
  const begin = async (/** @type {typeof LOCAL} */ { name, id }, /** @type {typeof LOCAL} */ other) => {
    const agent = await start({ name, id }, other.name)
    agents.push(agent)
    const publish = () => writeFileSync(bundleFile(name), agent.bundle().toJwks())
    publish()
    /** @type {Domain & { agent: any }} */
    const domain = {
      name,
      id,
      agent,
      endpoint: `unix://${String(agent.endpoint).slice('unix:'.length)}`,
      source: await X509Source.open({ endpoint: agent.endpoint }),
      // A new authority, as well: announced before it signs.
      async rotate() {
        agent.rotateAuthority('prepare')
        publish()
        await until(
          () => domains.every(({ source }) => source.bundle(name).authorities.length === 2),
          'the other has heard of the new authority'
        )
        // Who is slower than we are gets the time that an authority is announced for.
        await pause(2000)
        agent.rotateAuthority('activate')
        await renewed(domain, () => agent.setRules([rule(id, [other.name])]))
      },
      async settle() {
        agent.rotateAuthority('forget')
        publish()
        await until(
          () => domains.every(({ source }) => source.bundle(name).authorities.length === 1),
          'the old authority is forgotten'
        )
      }
    }
    return domain
  }
  const stop = async () => {
    for (const { source } of domains) source.close()
    // An agent keeps no process alive.
    const alive = setInterval(() => {}, 1000)
    await Promise.all(agents.map((agent) => agent.close()))
    clearInterval(alive)
    rmSync(directory, { recursive: true, force: true })
  }
  /** @type {Awaited<ReturnType<typeof begin>>[]} */
  const domains = []
  try {
    // Its keys are made before the other is told of them.
    const first = await start(FOREIGN, LOCAL.name, false)
    writeFileSync(bundleFile(FOREIGN.name), first.bundle().toJwks())
    await first.close()
    domains.push(await begin(LOCAL, FOREIGN), await begin(FOREIGN, LOCAL))
    const [local, foreign] = domains
    await until(() => domains.every(({ source }) => source.context().bundles.size === 2), 'both have both bundles')
    return {
      directory,
      local,
      foreign,
      stop,
      async separate() {
        for (const { agent, id } of domains) agent.setRules([rule(id, [])])
        await separated(domains)
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
}
