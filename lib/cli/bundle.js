'use strict'
/** `countersign bundle`: show and set the trust bundles of this machine. */

const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { CountersignError, invalidArgument } = require('../native/errors')
const { linuxOnly } = require('../native/load')
const { unwrap } = require('../native/answer')
const { JwtBundle } = require('../spiffe/jwt-bundle')
const { SpiffeBundle } = require('../spiffe/spiffe-bundle')
const { TrustDomain } = require('../spiffe/trust-domain')
const { WorkloadApiClient } = require('../spiffe/workload-api/client')
const { X509Bundle } = require('../spiffe/x509-bundle')
const { UsageError } = require('./exit')
const { printJson } = require('./print')

const FORMATS = ['spiffe', 'pem']

/** @type {import('./main').Command} */
const command = {
  summary: 'Show or set the bundle of a trust domain',
  usage:
    'show [--socket ENDPOINT] [--id ID] [--format FORMAT]\n       countersign bundle set --id ID --rules RULES [FILE]',
  options: {
    id: { type: 'string', value: 'ID', help: 'the trust domain, such as spiffe://partner.org (show: default its own)' },
    format: {
      type: 'string',
      value: 'FORMAT',
      help: 'spiffe (a SPIFFE bundle document; the default) or pem (X.509 only)'
    },
    socket: { type: 'string', value: 'ENDPOINT', help: 'show: the Workload API (default $SPIFFE_ENDPOINT_SOCKET)' },
    rules: {
      type: 'string',
      value: 'RULES',
      help: 'set: the rules file that says where the agent looks for the bundle'
    }
  },
  details: () => `show asks the Workload API as this process: every process with an identity receives the bundles.
set reads FILE, or standard input, checks it, and writes it to the path in the rules file (bundle_file); a running agent
uses it within a second, or says in its log why not.

Options:
  --id ID            the trust domain, such as spiffe://partner.org (show: default the workload's own)
  --format FORMAT    spiffe (a SPIFFE bundle document; the default) or pem (X.509 only)
  --socket ENDPOINT  show: the Workload API (default $SPIFFE_ENDPOINT_SOCKET)
  --rules RULES      set: the rules file
  --json             one JSON document instead of text
  --help             print this
`,
  async run({ values, positionals, json }) {
    const [verb, ...rest] = positionals
    const { format = 'spiffe' } = values
    if (!FORMATS.includes(format))
      throw new UsageError(`--format: expected ${FORMATS.join(' or ')}, got ${JSON.stringify(format)}`)
    if (verb === 'show' && rest.length === 0) return show(values, format, json)
    if (verb === 'set' && rest.length <= 1) return set(values, values.format, rest[0], json)
    throw new UsageError('expected show or set')
  }
}

/**
 * @param {Record<string, any>} values
 * @param {string} format
 * @param {boolean} json
 */
async function show({ id, socket }, format, json) {
  const client = new WorkloadApiClient(socket === undefined ? {} : { endpoint: endpoint(socket) })
  try {
    const [context, tokens] = await Promise.all([client.fetchX509Context(), client.fetchJwtBundles()])
    const trustDomain = id === undefined ? context.svids[0].spiffeId.trustDomain : TrustDomain.parse(id)
    const x509Bundle = context.bundles.x509Bundle(trustDomain)
    const jwtBundle = tokens.jwtBundle(trustDomain) ?? new JwtBundle(trustDomain)
    if (x509Bundle === undefined)
      throw new CountersignError('ERR_BUNDLE_NOT_FOUND', `this workload is given no bundle of ${trustDomain}`)
    const bundle = new SpiffeBundle(trustDomain, /** @type {any} */ ({ x509Bundle, jwtBundle }))
    if (json) printJson({ trustDomain: trustDomain.name, bundle: JSON.parse(bundle.toJwks()), pem: x509Bundle.toPem() })
    else process.stdout.write(format === 'pem' ? x509Bundle.toPem() : `${bundle.toJwks()}\n`)
  } finally {
    client.close()
  }
}

/** A path is as good as an address. @param {string} text */
const endpoint = (text) => (text.startsWith('/') ? `unix:${text}` : text)

/**
 * @param {Record<string, any>} values
 * @param {string | undefined} format
 * @param {string | undefined} file
 * @param {boolean} json
 */
function set({ id, rules }, format, file, json) {
  if (id === undefined || rules === undefined) throw new UsageError('set: expected --id and --rules')
  const trustDomain = TrustDomain.parse(id)
  const { federatesWith } = unwrap(linuxOnly('checkRules', 'to read the rules of an agent')(rules))
  const known = federatesWith.find((/** @type {{ trustDomain: string }} */ one) => one.trustDomain === trustDomain.name)
  if (!known?.bundleFile)
    throw invalidArgument(
      `${rules}: [workload_api.federates_with.${JSON.stringify(trustDomain.name)}] with a bundle_file is not in it`
    )
  const text = fs.readFileSync(file === undefined || file === '-' ? 0 : file)
  const isPem = format === undefined ? !text.subarray(0, 1000).toString().trimStart().startsWith('{') : format === 'pem'
  const bundle = isPem
    ? new SpiffeBundle(trustDomain, /** @type {any} */ ({ x509Bundle: X509Bundle.fromPem(trustDomain, text) }))
    : SpiffeBundle.parse(trustDomain, text)
  replace(known.bundleFile, `${bundle.toJwks()}\n`)
  const authorities = { x509: bundle.x509Bundle.size, jwt: bundle.jwtBundle.size, skipped: bundle.skipped.length }
  if (json) printJson({ trustDomain: trustDomain.name, file: known.bundleFile, ...authorities })
  else
    process.stdout.write(
      `${known.bundleFile}: the bundle of ${trustDomain}, ${authorities.x509} X.509 and ${authorities.jwt} JWT ` +
        `authorities${authorities.skipped ? `, ${authorities.skipped} keys left out` : ''}\n`
    )
}

/**
 * In one move: an agent that looks sees the old one or the new one.
 * @param {string} file
 * @param {string} text
 */
function replace(file, text) {
  const fresh = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`)
  const descriptor = fs.openSync(fresh, 'wx', 0o644)
  try {
    fs.writeFileSync(descriptor, text)
    fs.fsyncSync(descriptor)
    fs.closeSync(descriptor)
    fs.renameSync(fresh, file)
  } catch (error) {
    fs.rmSync(fresh, { force: true })
    throw error
  }
}

module.exports = command
