'use strict'
/** The answers of the Workload API, method by method. */

const { WorkloadApiClient, verifyJwtSvid } = require('../../../index')
const { duration, expiry } = require('../print')
const { meaningOf, whyIgnored } = require('./answers')
const { examineClock } = require('./clock')
const { selectors } = require('./process')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */
/** @typedef {InstanceType<typeof WorkloadApiClient>} Client */
/** @typedef {import('../../../index').X509Svid} X509Svid */

/** No server has this name, so no server would accept the token. */
const AUDIENCE = 'countersign-doctor'
/** SVIDs are renewed at half of their lifetime. One with less than this left should have been. */
const OVERDUE = 0.3

/**
 * @param {Report} report
 * @param {string} endpoint
 * @param {number} timeout
 * @param {import('./process').Us} us
 */
async function examineWorkloadApi(report, endpoint, timeout, us) {
  const client = new WorkloadApiClient({ endpoint, timeout })
  const context = await attempt(report, 'x509', () => client.fetchX509Context(), us)
  if (context === undefined && !othersMayWork(report.findings.at(-1))) return
  if (context) {
    report.add(
      'x509',
      'ok',
      `FetchX509SVID: ${count(context.svids.length, 'SVID')}, bundles of ` +
        `${context.bundles.trustDomains.map(({ name }) => name).join(', ')}` +
        `${context.crls.length === 0 ? '' : `, ${count(context.crls.length, 'revocation list')}`}`,
      {
        svids: context.svids.length,
        trustDomains: context.bundles.trustDomains.map(({ name }) => name),
        crls: context.crls.length
      }
    )
    for (const [index, svid] of context.svids.entries()) examineSvid(report, svid, index)
    for (const { what, reason, message } of context.ignored)
      report.add('ignored', 'warn', `${what}: ${message}`, { what, reason, advice: whyIgnored(reason) })
  }
  await examineX509Bundles(report, client, us)
  const issued = await examineTokens(report, client, us)
  examineClock(report, context?.svids ?? [], issued)
  await examineWit(report, client)
}

/**
 * Without this profile there may be the others. Without an identity, a connection or the whole service there is
 * nothing.
 * @param {import('./report').Finding | undefined} finding
 */
function othersMayWork(finding) {
  return finding?.grpcCode === 'UNIMPLEMENTED' && !/unknown service|^HTTP status/i.test(String(finding.grpcMessage))
}

/**
 * @param {Report} report
 * @param {X509Svid} svid
 * @param {number} index
 */
function examineSvid(report, svid, index) {
  const lifetime = svid.expiresAt.getTime() - svid.notBefore.getTime()
  const left = svid.expiresAt.getTime() - Date.now()
  const share = Math.round((left / lifetime) * 100)
  const overdue = left / lifetime < OVERDUE
  const { spiffeId, hint, serialNumber, notBefore, expiresAt } = svid
  report.add(
    'svid',
    overdue ? 'warn' : 'ok',
    `${spiffeId}${hint === undefined ? '' : ` (hint ${JSON.stringify(hint)})`}${index === 0 ? ', the default' : ''}: ` +
      `${share} % of ${duration(lifetime)} left, expires ${expiry(expiresAt)}`,
    {
      spiffeId: spiffeId.uri,
      hint,
      serialNumber,
      notBefore,
      expiresAt,
      percentLeft: share,
      ...(overdue
        ? { advice: ['a healthy agent renews it at half of its lifetime: is it cut off from its server?'] }
        : {})
    }
  )
}

/**
 * @param {Report} report
 * @param {Client} client
 * @param {import('./process').Us} us
 */
async function examineX509Bundles(report, client, us) {
  const bundles = await attempt(report, 'bundles', () => client.fetchX509Bundles(), us)
  for (const { name } of bundles?.trustDomains ?? []) {
    const authorities = bundles?.x509Bundle(name)?.authorities ?? []
    const ends = authorities.map(({ validTo }) => new Date(validTo)).sort((a, b) => a.getTime() - b.getTime())
    const dead = ends.filter((end) => end.getTime() < Date.now()).length
    const state =
      authorities.length === 0
        ? 'no authority, so no peer in it is trusted'
        : `${count(authorities.length, 'authority', 'authorities')}, the last expires ${expiry(ends[ends.length - 1])}`
    report.add(
      'bundles',
      dead === authorities.length ? 'warn' : 'ok',
      `X.509 of ${name}: ${state}${dead === 0 ? '' : `; ${dead} expired`}`,
      { trustDomain: name, authorities: authorities.length, expired: dead }
    )
  }
}

/**
 * @param {Report} report
 * @param {Client} client
 * @param {import('./process').Us} us
 * @returns {Promise<Date[]>} when tokens were issued
 */
async function examineTokens(report, client, us) {
  const bundles = await attempt(report, 'jwtBundles', () => client.fetchJwtBundles(), us)
  for (const { name } of bundles?.trustDomains ?? []) {
    const keys = bundles?.jwtBundle(name)?.size ?? 0
    report.add('jwtBundles', keys === 0 ? 'warn' : 'ok', `JWT of ${name}: ${count(keys, 'key')}`, {
      trustDomain: name,
      keys
    })
  }
  const svids = (await attempt(report, 'jwt', () => client.fetchJwtSvids({ audience: AUDIENCE }), us)) ?? []
  for (const svid of svids) {
    const { spiffeId, hint, issuedAt, expiresAt, algorithm } = svid
    const facts = { spiffeId: spiffeId.uri, hint, issuedAt, expiresAt, algorithm }
    const lasts =
      issuedAt === undefined
        ? `expires ${expiry(expiresAt)}`
        : `lasts ${duration(expiresAt.getTime() - issuedAt.getTime())}`
    try {
      if (bundles) verifyJwtSvid(svid.token, bundles, { audience: AUDIENCE })
      report.add(
        'jwt',
        'ok',
        `a token of ${spiffeId}${hint === undefined ? '' : ` (hint ${JSON.stringify(hint)})`}: ${algorithm}, ${lasts}`,
        facts
      )
    } catch (error) {
      const { message, rule } = /** @type {any} */ (error)
      report.add('jwt', 'fail', `a token of ${spiffeId} is not good by the bundles that came beside it: ${message}`, {
        ...facts,
        rule
      })
    }
  }
  return svids.flatMap(({ issuedAt }) => issuedAt ?? [])
}

/**
 * @param {Report} report
 * @param {Client} client
 */
async function examineWit(report, client) {
  try {
    const svids = await client.fetchWitSvids()
    report.add('wit', 'ok', `the incubating WIT profile is there: ${count(svids.length, 'SVID')}`, { supported: true })
  } catch (error) {
    const { grpcCode, message } = /** @type {any} */ (error)
    if (grpcCode === 'UNIMPLEMENTED')
      report.add('wit', 'note', 'the incubating WIT profile is not there, as usual', { supported: false })
    else report.add('wit', 'note', `the incubating WIT profile: ${message}`, { grpcCode })
  }
}

/**
 * @template T
 * @param {Report} report
 * @param {string} check
 * @param {() => Promise<T>} ask
 * @param {import('./process').Us} us
 * @returns {Promise<T | undefined>}
 */
async function attempt(report, check, ask, us) {
  try {
    return await ask()
  } catch (error) {
    const { message, advice, exitCode } = meaningOf(error)
    const { code, grpcCode, grpcMessage, rule, ignored } = /** @type {any} */ (error)
    const listener = report.findings.find((finding) => finding.check === 'listener')?.process
    const denied = code === 'ERR_NO_IDENTITY' && advice.length === 0 ? registration(us, listener) : {}
    report.fail(check, exitCode, message, { code, grpcCode, grpcMessage, rule, ignored, advice, ...denied })
    return undefined
  }
}

/**
 * What it takes to be known.
 * @param {import('./process').Us} us
 * @param {unknown} listener what the process that listens is called, if that is known
 */
function registration(us, listener) {
  const { always, byPath } = selectors(us)
  const command =
    `spire-server entry create -parentID spiffe://TRUST_DOMAIN/AGENT -spiffeID ` +
    `spiffe://TRUST_DOMAIN/WORKLOAD -selector ${always[0]}`
  return {
    selectors: [...always, ...byPath],
    registration: command,
    advice: [
      "no entry of the agent's server is for this process. Its selectors, as the unix attestor sees them:",
      ...always.map((selector) => `  ${selector}`),
      ...byPath.map((selector) => `  ${selector}  (if the agent has discover_workload_path)`),
      'an entry whose parent is this agent, and whose selectors are all among them, makes it known:',
      `  ${command}`,
      '(spire-server agent list prints the SPIFFE ID of the agent.) A new entry takes some seconds to arrive.',
      ...(listener === 'spire-agent'
        ? []
        : [
            'an agent of countersign has rules with a spiffe_id instead: countersign check RULES --as-pid PID says ' +
              'which match a process'
          ]),
      ...(us.ownPids || us.container !== undefined
        ? [
            'this process is in a container: the agent must see its processes (hostPID), and entries may have to be ' +
              'by k8s: or docker: selectors'
          ]
        : []),
      ...(us.ownUsers ? ['this process is in a user namespace: the ids above are those outside of it'] : [])
    ]
  }
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`
}

module.exports = { examineWorkloadApi }
