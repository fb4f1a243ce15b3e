'use strict'
/** Lets a request pass that brings a valid JWT-SVID (JWT-SVID 4.1, RFC 6750). For node:http, Express and Fastify. */

const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { requireAuthorized, compile, anybody } = require('../spiffe/authorizer')
const { JwtSvid } = require('../spiffe/jwt-svid')
const { verifyJwtSvid } = require('../spiffe/verify')
const { Peer, setPeer } = require('./peer')
const { report } = require('./rejection')
const { checkFunction } = require('./settings')

const OPTIONS = ['audience', 'authorize', 'leeway', 'onReject', 'principal']
/** RFC 6750 2.1: the scheme in any case, one token. */
const CREDENTIALS = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

/**
 * @param {unknown} verifier a BundleSet, JwtBundle or SpiffeBundle, or anything with `validate(token, { audience })`
 * @param {import('../../types/tls').RequireBearerOptions} options
 */
function requireBearer(verifier, options) {
  const given = ownOptions(options, OPTIONS, 'options')
  const { audience, leeway } = given
  const onReject = checkFunction(given.onReject, 'options.onReject')
  const principal = checkFunction(given.principal, 'options.principal')
  // `authorize: undefined` is a variable that was not set, not a decision to accept every name.
  const authorizer = 'authorize' in given ? compile(given.authorize, 'options.authorize') : anybody
  const verify = verifierOf(verifier, { audience, ...(leeway !== undefined && { leeway }) })

  /** @param {import('node:http').IncomingMessage} request @param {{ token?: string }} seen */
  const peerBehind = async (request, seen) => {
    seen.token = tokenOf(request)
    const svid = await verify(seen.token)
    requireAuthorized(authorizer, svid.spiffeId)
    return new Peer('jwt', svid, principal)
  }

  /**
   * Not an async function: Fastify takes none with three parameters.
   * @param {any} request
   * @param {any} response
   * @param {(error?: unknown) => void} next
   */
  return (request, response, next) => {
    const incoming = request.raw ?? request
    /** @type {{ token?: string }} */
    const seen = {}
    peerBehind(incoming, seen)
      .then(
        (peer) => {
          setPeer(incoming, peer)
          return true
        },
        (error) => {
          const refused = refusalOf(error)
          report(
            { side: 'server', error: refused, claimedIds: claimedBy(seen.token), socket: incoming.socket ?? {} },
            onReject
          )
          refuse(response, refused)
          return false
        }
      )
      .then((accepted) => {
        if (accepted) next()
      })
  }
}

/**
 * The subject that the token claims, unverified.
 * @param {string | undefined} token
 */
function claimedBy(token) {
  try {
    return token === undefined ? [] : [JwtSvid.parseInsecure(token).spiffeId.uri]
  } catch {
    return []
  }
}

/**
 * @param {any} verifier
 * @param {{ audience: any, leeway?: number }} options
 * @returns {(token: string) => any}
 */
function verifierOf(verifier, options) {
  if (typeof verifier === 'object' && verifier !== null && typeof verifier.validate === 'function') {
    checkAudience(options.audience)
    return async (token) => {
      const svid = await verifier.validate(token, options)
      if (svid instanceof JwtSvid) return svid
      throw new CountersignError('ERR_SOURCE_FAILED', `the verifier answered ${shown(svid)} instead of a JwtSvid`)
    }
  }
  // What is wrong with verifier or audience is wrong now, not with the first request.
  checkAudience(options.audience)
  try {
    verifyJwtSvid('', verifier, options)
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'ERR_INVALID_TOKEN') throw error
  }
  return (token) => verifyJwtSvid(token, verifier, options)
}

/** @param {unknown} audience */
function checkAudience(audience) {
  const list = Array.isArray(audience) ? audience : [audience]
  if (list.length === 0 || !list.every((name) => typeof name === 'string' && name !== '')) {
    throw invalidArgument(
      `options.audience: expected the name this server answers to, or a list of them, got ${shown(audience)}`,
      { rule: 'no_expected_audience' }
    )
  }
}

/** @param {import('node:http').IncomingMessage} request */
function tokenOf(request) {
  const sent = request.headersDistinct?.authorization ?? [request.headers.authorization].flat()
  if (sent.length > 1) throw new BadRequest('more than one Authorization header')
  const header = sent[0]
  if (header === undefined)
    throw new CountersignError('ERR_INVALID_TOKEN', 'the request has no token', { rule: 'missing_token' })
  const token = CREDENTIALS.exec(header)?.[1]
  if (token === undefined) {
    // Another scheme is left to other handlers; a malformed Bearer is a bad request.
    if (!/^bearer\b/i.test(header))
      throw new CountersignError('ERR_INVALID_TOKEN', 'the request has no Bearer token', { rule: 'missing_token' })
    throw new BadRequest('the Authorization header is malformed')
  }
  return token
}

/** A request that is wrong before any token is looked at. */
class BadRequest extends CountersignError {
  /** @param {string} message */
  constructor(message) {
    super('ERR_INVALID_TOKEN', message, { rule: 'malformed_request' })
  }
}

/**
 * @param {unknown} error
 * @returns {any}
 */
function refusalOf(error) {
  if (CountersignError.is(error)) return error
  return new CountersignError('ERR_SOURCE_FAILED', `the token could not be judged: ${reason(error)}`, { cause: error })
}

/** RFC 6750 3.1. @param {any} error @returns {[status: number, challenge: string]} */
function answerTo({ code, rule }) {
  if (rule === 'missing_token') return [401, 'Bearer']
  if (rule === 'malformed_request') return [400, 'Bearer error="invalid_request"']
  if (code === 'ERR_INVALID_TOKEN') return [401, `Bearer error="invalid_token", error_description="${rule}"`]
  if (code === 'ERR_UNTRUSTED_SVID') return [403, 'Bearer error="insufficient_scope"']
  return [503, '']
}

/**
 * @param {any} response of node:http, Express or Fastify
 * @param {any} error
 */
function refuse(response, error) {
  const [status, challenge] = answerTo(error)
  const body = JSON.stringify({
    error: challenge.match(/error="(\w+)"/)?.[1] ?? (status === 401 ? 'unauthorized' : 'unavailable')
  })
  if (typeof response.raw === 'object' && typeof response.code === 'function') {
    response.code(status).header('content-type', 'application/json')
    if (challenge) response.header('www-authenticate', challenge)
    response.send(body)
    return
  }
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  if (challenge) response.setHeader('www-authenticate', challenge)
  response.end(body)
}

module.exports = { requireBearer }
