'use strict'
/** One document over https: from the right host, in time, no larger than it should be, and no other one instead. */

const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')

/**
 * @param {unknown} text
 * @param {string} name
 * @returns {URL}
 */
function checkUrl(text, name) {
  if (typeof text !== 'string' || !URL.canParse(text))
    throw invalidArgument(`${name}: expected a URL, got ${shown(text)}`)
  const url = new URL(text)
  if (url.protocol !== 'https:') throw invalidArgument(`${name}: expected https, got ${url.protocol}//${url.host}`)
  if (url.username !== '' || url.password !== '')
    throw invalidArgument(`${name}: a URL with user or password (give headers)`)
  return url
}

/**
 * @param {URL} url
 * @param {string} why
 * @param {unknown} [cause]
 */
function unavailable(url, why, cause) {
  // Without the query: it may carry secrets.
  const shownUrl = `${url.origin}${url.pathname}`
  return new CountersignError('ERR_KEYS_UNAVAILABLE', `no keys from ${shownUrl}: ${why}`, { url: shownUrl, cause })
}

/**
 * @param {URL} url
 * @param {{ timeout: number, limit: number, ca?: unknown, headers?: Record<string, string> }} options
 * @returns {Promise<Buffer>}
 */
function getDocument(url, { timeout, limit, ca, headers }) {
  const https = require('node:https')
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ why, /** @type {unknown} */ cause) => {
      reject(unavailable(url, why, cause))
      request.destroy()
    }
    const request = https.get(
      url,
      {
        // A connection of its own, which is not kept.
        agent: false,
        headers: { ...headers, accept: 'application/json', 'accept-encoding': 'identity' },
        maxHeaderSize: 16384,
        // Said aloud: an environment variable must not be able to switch it off.
        rejectUnauthorized: true,
        ...(ca === undefined ? {} : { ca: /** @type {any} */ (ca) })
      },
      (response) => {
        // A redirect as well: a server that may redirect chooses the keys.
        if (response.statusCode !== 200) return fail(`the answer is ${response.statusCode}`, undefined)
        if ((response.headers['content-encoding'] ?? 'identity') !== 'identity')
          return fail('the answer is compressed, unasked', undefined)
        /** @type {Buffer[]} */
        const chunks = []
        let length = 0
        response.on('data', (chunk) => {
          length += chunk.length
          if (length > limit) fail(`the answer is longer than ${limit} bytes`, undefined)
          else chunks.push(chunk)
        })
        // An answer that breaks off ends with an error, not with this.
        response.once('end', () => resolve(Buffer.concat(chunks)))
        response.on('error', (error) => fail(reason(error), error))
      }
    )
    request.on('error', (error) => fail(reason(error), error))
    // One deadline over everything: a server that sends a byte now and then is not alive.
    const timer = setTimeout(() => fail(`no answer within ${timeout} ms`, undefined), timeout)
    request.once('close', () => clearTimeout(timer))
  })
}

module.exports = { checkUrl, getDocument, unavailable }
