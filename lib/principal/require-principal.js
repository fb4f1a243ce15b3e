'use strict'
/** Who may pass: a guard for http, Express, Fastify and everything shaped like them. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { notAuthenticated } = require('./failure')
const { incoming } = require('./incoming')
const { Principal } = require('./principal')

/** @typedef {import('./resolver').Principal} AnyPrincipal */
/** @typedef {{ ask: (req: any) => unknown, challenge: string | undefined }} Source */

const OPTIONS = ['kind', 'authorize', 'onRefuse']
const KINDS = ['human', 'workload']

/** The principals of requests, by Node's own request. @type {WeakMap<object, AnyPrincipal>} */
const principals = new WeakMap()

/** Errors of identities: a request that causes one is not authenticated. */
const UNAUTHENTICATED = [
  'ERR_NOT_AUTHENTICATED',
  'ERR_INVALID_SPIFFE_ID',
  'ERR_INVALID_TRUST_DOMAIN',
  'ERR_INVALID_COMPONENT',
  'ERR_INVALID_ID',
  'ERR_INVALID_PRINCIPAL'
]
const BODIES = { 401: '{"error":"not_authenticated"}', 403: '{"error":"forbidden"}', 500: '{"error":"internal"}' }

/**
 * The status of an answer to a request that failed like this.
 * @param {unknown} error
 * @returns {401 | 403 | 500}
 */
function statusOf(error) {
  if (!CountersignError.is(error)) return 500
  const { code } = /** @type {InstanceType<typeof CountersignError>} */ (error)
  if (code === 'ERR_PRINCIPAL_DENIED') return 403
  return UNAUTHENTICATED.includes(code) ? 401 : 500
}

/**
 * @param {any} source
 * @param {string} name
 * @returns {Source}
 */
function compileSource(source, name) {
  if (typeof source?.forRequest === 'function')
    return { ask: (req) => source.forRequest(req), challenge: source.challenge }
  if (typeof source?.resolve === 'function')
    throw invalidArgument(`${name}: says who this process is, not who sends a request`)
  if (typeof source === 'function') return { ask: source, challenge: undefined }
  throw invalidArgument(`${name}: expected a resolver of requests, or a function, got ${shown(source)}`)
}

/**
 * The first that finds a credential decides. One that finds a bad one does not leave it to the next.
 * @param {readonly Source[]} sources
 * @param {any} req
 * @returns {Promise<AnyPrincipal>}
 */
async function identify(sources, req) {
  /** @type {unknown} */
  let nothing
  for (const { ask } of sources) {
    try {
      const found = await ask(req)
      if (Principal.is(found)) return /** @type {AnyPrincipal} */ (found)
      if (typeof (/** @type {any} */ (found)?.resolve) === 'function') {
        const principal = await /** @type {any} */ (found).resolve()
        if (Principal.is(principal)) return /** @type {AnyPrincipal} */ (principal)
        throw invalidArgument('the resolver gave something that is no principal')
      }
      if (found !== undefined && found !== null)
        throw invalidArgument('the function returned neither a principal nor a resolver')
      nothing ??= notAuthenticated('no_credential', 'the request brings no credential')
    } catch (error) {
      if (
        /** @type {any} */ (error)?.code !== 'ERR_NOT_AUTHENTICATED' ||
        /** @type {any} */ (error).reason !== 'no_credential'
      )
        throw error
      nothing ??= error
    }
  }
  throw nothing
}

/**
 * @param {AnyPrincipal} principal
 * @param {string | undefined} kind
 * @param {((principal: any, req: any) => unknown) | undefined} authorize
 * @param {any} req
 */
async function admit(principal, kind, authorize, req) {
  if (kind !== undefined && principal.kind !== kind) {
    throw new CountersignError('ERR_PRINCIPAL_DENIED', `the principal is a ${principal.kind}, a ${kind} is needed`, {
      expected: kind,
      actual: principal.kind
    })
  }
  if (authorize === undefined) return
  const verdict = await authorize(principal, req)
  if (verdict === true) return
  if (verdict !== false)
    throw invalidArgument(`options.authorize: it must return true or false, it returned ${shown(verdict)}`)
  throw new CountersignError('ERR_PRINCIPAL_DENIED', 'the principal is not authorized', { actual: principal.kind })
}

/**
 * @param {any} source
 * @param {import('../../types/principal').RequirePrincipalOptions} [options]
 */
function requirePrincipal(source, options) {
  const { kind, authorize, onRefuse } = ownOptions(options, OPTIONS, 'options')
  // An option that was meant and is missing must not mean "any peer".
  for (const name of ['kind', 'authorize']) {
    if (options && name in options && /** @type {any} */ (options)[name] === undefined)
      throw invalidArgument(`options.${name}: is undefined; leave it out to let every principal in`)
  }
  if (kind !== undefined && !KINDS.includes(kind))
    throw invalidArgument(`options.kind: expected ${KINDS.join(' or ')}, got ${shown(kind)}`)
  for (const [name, value] of Object.entries({ authorize, onRefuse })) {
    if (value !== undefined && typeof value !== 'function')
      throw invalidArgument(`options.${name}: expected a function, got ${shown(value)}`)
  }
  const list = Array.isArray(source) ? source : [source]
  if (list.length === 0) throw invalidArgument('source: the list is empty')
  const sources = list.map((one, index) => compileSource(one, Array.isArray(source) ? `source[${index}]` : 'source'))
  const challenge = sources.find((one) => one.challenge !== undefined)?.challenge

  /**
   * @param {any} req
   * @param {any} res
   */
  const guard = async (req, res) => {
    try {
      const principal = await identify(sources, req)
      await admit(principal, kind, authorize, req)
      principals.set(incoming(req), principal)
      req.principal = principal
      return principal
    } catch (error) {
      const status = statusOf(error)
      const headers = headersOf(status, error, challenge)
      if (onRefuse) await onRefuse(error, { status, headers }, req, res)
      else refuse(res, status, headers)
      return undefined
    }
  }
  return (
    /** @type {any} */ req,
    /** @type {any} */ res,
    /** @type {((error?: unknown) => void) | undefined} */ next
  ) => {
    const passed = guard(req, res)
    if (next === undefined) return passed
    // Never both: a framework that is given a promise and called back goes on twice.
    passed.then((principal) => {
      if (principal !== undefined) next()
    }, next)
    return undefined
  }
}

/**
 * @param {number} status
 * @param {any} error
 * @param {string | undefined} challenge
 */
function headersOf(status, error, challenge) {
  /** @type {Record<string, string>} */
  const headers = { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' }
  // RFC 6750 3.1: only a request that brought a token gets an error code.
  if (status === 401 && challenge !== undefined)
    headers['www-authenticate'] = error?.reason === 'no_credential' ? challenge : `${challenge} error="invalid_token"`
  return headers
}

/**
 * @param {any} res Node's response, or Fastify's reply
 * @param {401 | 403 | 500} status
 * @param {Record<string, string>} headers
 */
function refuse(res, status, headers) {
  if (typeof res.code === 'function' && typeof res.send === 'function') {
    res.code(status).headers(headers).send(BODIES[status])
    return
  }
  if (res.headersSent) {
    res.destroy()
    return
  }
  res.writeHead(status, headers).end(BODIES[status])
}

/** @param {any} req */
function getPrincipal(req) {
  const principal = typeof req === 'object' && req !== null ? principals.get(incoming(req)) : undefined
  if (principal === undefined)
    throw new CountersignError(
      'ERR_NO_PRINCIPAL',
      'nobody asked who sent this request: put requirePrincipal in front of this handler'
    )
  return principal
}

module.exports = { getPrincipal, requirePrincipal, statusOf }
