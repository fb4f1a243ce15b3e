'use strict'
/** The options a server is made with. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { compile, domainsOf, anybody } = require('../spiffe/authorizer')
const { LIFETIMES, readLifetimes } = require('./lifetimes')
const { SECURE_OPTIONS, SETTINGS, checkChoice, checkFunction, readSettings } = require('./settings')
const { checkSource } = require('./source')

const OPTIONS = ['clients', 'certificate', 'onReject', 'principal', ...SETTINGS, ...LIFETIMES]
/** @type {readonly ['required', 'optional', 'none']} */
const CLIENTS = ['required', 'optional', 'none']

/**
 * What was said, checked: all functions that make or secure a server understand the same.
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {unknown} options
 */
function readServerOptions(source, authorize, options) {
  const given = ownOptions(options, OPTIONS, 'options')
  const clients = /** @type {typeof CLIENTS[number]} */ (checkChoice(given.clients, CLIENTS, 'options.clients'))
  const certificate = readCertificate(given.certificate)
  if (clients === 'none') {
    if (authorize !== null)
      throw invalidArgument(
        `authorize: expected null, because with clients: 'none' nobody says who they are, got ${shown(authorize)}`
      )
    if (certificate)
      throw invalidArgument(`options.certificate: with clients: 'none' as well, nothing of the source would be used`)
  }
  const authorizer = clients === 'none' ? anybody : compile(authorize, 'authorize')
  const settings = readSettings(given)
  /** @type {import('./secure-contexts').Plan} */
  const plan = {
    side: 'server',
    settings,
    domains: clients === 'none' ? undefined : domainsOf(authorizer),
    shows: true,
    certificate,
    trusts: clients === 'none' ? 'nobody' : 'spiffe'
  }
  return {
    source: checkSource(source),
    authorizer,
    clients,
    plan,
    settings,
    limits: readLifetimes(given),
    onReject: checkFunction(given.onReject, 'options.onReject'),
    principal: checkFunction(given.principal, 'options.principal')
  }
}

/** @param {unknown} certificate */
function readCertificate(certificate) {
  if (certificate === undefined) return undefined
  if (typeof certificate === 'function') return /** @type {() => import('./secure-contexts').Shown} */ (certificate)
  if (typeof certificate !== 'object' || certificate === null)
    throw invalidArgument(
      `options.certificate: expected { cert, key } or a function that returns it, got ${shown(certificate)}`
    )
  const { cert, key } = ownOptions(certificate, ['cert', 'key'], 'options.certificate')
  return () => ({ cert, key })
}

/**
 * A locked door: it shows no certificate and trusts nobody until `secureServer` takes over. A server that was made with
 * these options and then forgotten rejects every client.
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').ServerOptions} [options]
 */
function serverOptions(source, authorize, options) {
  const { clients, settings } = readServerOptions(source, authorize, options)
  return {
    ...settings,
    requestCert: clients !== 'none',
    rejectUnauthorized: clients === 'required',
    secureOptions: SECURE_OPTIONS,
    ca: /** @type {string[]} */ ([])
  }
}

module.exports = { readServerOptions, serverOptions }
