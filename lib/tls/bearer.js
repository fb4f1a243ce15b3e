'use strict'
/** Proves who is asking with a JWT-SVID in the Authorization header (JWT-SVID 4.1, RFC 6750). */

const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')

/**
 * @param {unknown} source anything with `fetch({ audience })`, such as a JwtSource
 * @param {unknown} audience
 */
function bearer(source, audience) {
  const { fetch } = /** @type {any} */ (typeof source === 'object' && source !== null ? source : {})
  if (typeof fetch !== 'function')
    throw invalidArgument(
      `source: expected an object with the method fetch(), such as a JwtSource, got ${shown(source)}`
    )
  if (typeof audience !== 'string' || audience === '')
    throw invalidArgument(
      `audience: expected the name the server answers to, got ${audience === '' ? 'an empty string' : shown(audience)}`
    )
  return async (/** @type {{ signal?: AbortSignal }} */ options = {}) => {
    const svid = await /** @type {any} */ (source).fetch({ audience, ...options })
    const token = svid?.token
    if (typeof token !== 'string')
      throw new CountersignError('ERR_SOURCE_FAILED', `the source gave no JWT-SVID: ${reason(svid)}`)
    return { authorization: `Bearer ${token}` }
  }
}

module.exports = { bearer }
