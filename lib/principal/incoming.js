'use strict'
/** What a request brings along to prove who sent it. */

const { notAuthenticated } = require('./failure')

/**
 * Node's own request behind whatever the framework hands over.
 * @param {any} req
 * @returns {import('node:http').IncomingMessage}
 */
function incoming(req) {
  return typeof req?.raw?.headers === 'object' ? req.raw : req
}

/** RFC 6750 2.1: the scheme in any case, then the token. */
const BEARER = /^Bearer(?: +|$)/i
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

/**
 * The bearer token of a request.
 * @param {any} req
 * @returns {string | undefined} undefined when it brings none, or a credential of another scheme
 */
function bearerOf(req) {
  const { headers, rawHeaders } = incoming(req)
  const value = headers?.authorization
  if (value === undefined) return undefined
  // Of several, Node shows the first; something in front of us may have looked at another.
  const times = rawHeaders?.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization').length
  if (times !== undefined && times > 1)
    throw notAuthenticated('ambiguous_credential', 'the request has more than one Authorization header')
  const [scheme] = BEARER.exec(value) ?? []
  if (scheme === undefined) return undefined
  const token = value.slice(scheme.length).trimEnd()
  if (!TOKEN.test(token)) throw notAuthenticated('refused', 'the bearer token of the request is malformed')
  return token
}

/** @param {any} req */
function socketOf(req) {
  const { socket } = incoming(req)
  if (socket === undefined || socket === null)
    throw notAuthenticated('no_credential', 'the request has no socket any more')
  return socket
}

module.exports = { bearerOf, incoming, socketOf }
