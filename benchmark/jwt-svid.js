'use strict'
/** Signed JWT-SVIDs, made without the package. */
const { sign } = require('node:crypto')

/**
 * @param {'ES256' | 'RS256'} algorithm
 * @param {import('node:crypto').KeyObject} key
 * @param {{ sub: string, aud: string[] }} claims
 * @param {number} seconds how long it lives
 */
function mintJwtSvid(algorithm, key, claims, seconds) {
  const now = Math.floor(Date.now() / 1000)
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = part({ alg: algorithm, kid: 'one', typ: 'JWT' })
  const message = Buffer.from(`${header}.${part({ ...claims, iat: now, exp: now + seconds })}`)
  const signature = sign('sha256', message, algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key)
  return { text: `${message}.${signature.toString('base64url')}`, message, signature }
}

module.exports = { mintJwtSvid }
