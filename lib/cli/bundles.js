'use strict'
/** `countersign bundles`: the trust bundles of this process. */

const { WorkloadApiClient } = require('../../index')
const { CountersignError } = require('../native/errors')
const { WORKLOAD, workload } = require('./arguments')
const { UsageError } = require('./exit')
const { FileSet } = require('./file-set')
const { expiry, printEach, printJson, printable } = require('./print')

/** @typedef {import('../../index').X509Bundle} X509Bundle */
/** @typedef {import('../../index').JwtBundle} JwtBundle */

/** @type {import('./main').Command} */
const command = {
  summary: 'Fetch the bundles of the trust domains this process may know',
  usage: '[TRUST_DOMAIN] [--jwt] [--pem | --jwks | --write DIR]',
  options: {
    jwt: { type: 'boolean', help: 'the authorities for tokens instead of those for certificates' },
    pem: { type: 'boolean', help: 'the certificates of one trust domain, and nothing else' },
    jwks: { type: 'boolean', help: 'the keys of one trust domain as a JWKS, and nothing else (implies --jwt)' },
    write: {
      type: 'string',
      value: 'DIR',
      help: 'a file for each trust domain: TRUST_DOMAIN.pem, or TRUST_DOMAIN.jwks with --jwt'
    },
    ...WORKLOAD
  },
  notes: `A peer is verified with the bundle of its own trust domain and with no other. So there is one file for each
trust domain, and --pem and --jwks need TRUST_DOMAIN when there are several.`,
  async run({ values, positionals, json }) {
    const { pem = false, jwks = false, write } = values
    const jwt = values.jwt === true || jwks
    if (positionals.length > 1) throw new UsageError('expected one trust domain')
    if (Number(pem) + Number(jwks) + Number(write !== undefined) > 1)
      throw new UsageError('--pem, --jwks and --write exclude each other')
    if (json && (pem || jwks)) throw new UsageError('--pem and --jwks print nothing else: not with --json')
    if (pem && jwt) throw new UsageError('--pem has certificates; tokens have --jwks')
    const client = new WorkloadApiClient(workload(values))
    const told = await (jwt ? client.fetchJwtBundles() : client.fetchX509Bundles())
    const all = told.trustDomains
      .map(({ name }) => (jwt ? told.jwtBundle(name) : told.x509Bundle(name)))
      .filter((bundle) => bundle !== undefined)
    const bundles = positionals.length === 0 ? all : [named(all, positionals[0])]
    if (pem || jwks) {
      process.stdout.write(text(theOne(bundles)))
      return
    }
    /** @type {import('./file-set').Files} */
    const files = Object.fromEntries(
      bundles.map((bundle) => [
        `${bundle.trustDomain.name}.${jwt ? 'jwks' : 'pem'}`,
        { text: text(bundle), mode: 0o644 }
      ])
    )
    if (write !== undefined) new FileSet(write, jwt ? 'jwt-bundles' : 'x509-bundles').publish(files)
    if (json)
      return printJson({
        bundles: bundles.map(toJson),
        crls: told.crls.length,
        ignored: told.ignored,
        files: write && Object.keys(files)
      })
    printEach(bundles.map(pairs))
    for (const { message, what } of told.ignored)
      process.stderr.write(`countersign: ignored: ${printable(what)}: ${printable(message)}\n`)
  }
}

/**
 * @param {(X509Bundle | JwtBundle)[]} bundles
 * @param {string} wanted
 */
function named(bundles, wanted) {
  const { TrustDomain } = require('../../index')
  const { name } = TrustDomain.parse(wanted)
  const found = bundles.find((bundle) => bundle.trustDomain.name === name)
  if (found) return found
  throw new CountersignError(
    'ERR_BUNDLE_NOT_FOUND',
    `the Workload API offers no bundle of ${name}; it offers ${list(bundles)}`,
    { trustDomain: name }
  )
}

/** @param {(X509Bundle | JwtBundle)[]} bundles */
function theOne(bundles) {
  if (bundles.length === 1) return bundles[0]
  throw new UsageError(`say which trust domain: ${list(bundles)}`)
}

/** @param {(X509Bundle | JwtBundle)[]} bundles */
function list(bundles) {
  return bundles.map((bundle) => bundle.trustDomain.name).join(', ') || 'none'
}

/** @param {X509Bundle | JwtBundle} bundle */
function text(bundle) {
  return 'toPem' in bundle ? bundle.toPem() : `${bundle.toJwks()}\n`
}

/** @param {X509Bundle | JwtBundle} bundle */
function toJson(bundle) {
  const { trustDomain, skipped } = bundle
  if ('keyIds' in bundle) return { trustDomain, keyIds: bundle.keyIds, jwks: bundle.toJSON(), skipped }
  const authorities = bundle.authorities.map((certificate) => ({
    subject: certificate.subject,
    notBefore: new Date(certificate.validFrom),
    expiresAt: new Date(certificate.validTo),
    sha256: certificate.fingerprint256
  }))
  return { trustDomain, authorities, pem: bundle.toPem(), skipped }
}

/**
 * @param {X509Bundle | JwtBundle} bundle
 * @returns {[string, unknown][]}
 */
function pairs(bundle) {
  /** @type {[string, unknown][]} */
  const head = [['trust domain', bundle.trustDomain.name]]
  const skipped = bundle.skipped.map(
    ({ index, reason }) => /** @type {[string, unknown]} */ (['left out', `number ${index}: ${reason}`])
  )
  if ('keyIds' in bundle)
    return [...head, ...bundle.keyIds.map((id) => /** @type {[string, unknown]} */ (['key id', id])), ...skipped]
  return [
    ...head,
    ...bundle.authorities.flatMap(
      ({ subject, validTo, fingerprint256 }) =>
        /** @type {[string, unknown][]} */ ([
          ['authority', subject.replaceAll('\n', ', ')],
          ['  expires', expiry(new Date(validTo))],
          ['  sha256', fingerprint256]
        ])
    ),
    ...skipped
  ]
}

module.exports = command
