// Certificates by the openssl command line and tokens by node:crypto: signers that know nothing of this package.
import { execFileSync } from 'node:child_process'
import { createHmac, createPrivateKey, generateKeyPairSync, KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import * as countersign from 'countersign'

export { countersign }

const directory = mkdtempSync(path.join(tmpdir(), 'countersign-spiffe-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let count = 0

/** @param {string} name @param {string} text */
export function file(name, text) {
  const at = path.join(directory, name)
  writeFileSync(at, text)
  return at
}

/** @param {string} kind */
function generated(kind) {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  if (/^\d/.test(kind)) return generateKeyPairSync('rsa', { modulusLength: Number(kind) }).privateKey
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey
}

/**
 * A copy of a generated key: Node.js 20 holds a lock on a key while it makes a JWK of it, and a garbage collection in
 * that moment, which frees the generator, waits for the same lock for ever.
 * @param {string} kind
 */
export function newKey(kind = 'P-256') {
  return createPrivateKey({
    key: generated(kind).export({ type: 'pkcs8', format: 'der' }),
    type: 'pkcs8',
    format: 'der'
  })
}

/** @param {KeyObject} key */
export const pkcs8 = (key) => String(key.export({ format: 'pem', type: 'pkcs8' }))

/**
 * @typedef {{ pem: string, der: Buffer, key: KeyObject, keyPem: string, file: string, keyFile: string }} Minted
 * @param {{ issuer?: Minted, key?: KeyObject, subject?: string, extensions: string[], days?: number, from?: Date, to?:
 * Date, number?: string }} wish valid for so many days, or (given an issuer) from and to these moments
 * @returns {Minted}
 */
export function mint({ issuer, key = newKey(), subject = '/O=example', extensions, days = 30, from, to, number }) {
  const serial = ++count
  const keyPem = pkcs8(key)
  const keyFile = file(`${serial}.key`, keyPem)
  const config = file(
    `${serial}.cnf`,
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\nstring_mask=utf8only\n[dn]\n[ext]\n${extensions.join('\n')}\n`
  )
  const out = path.join(directory, `${serial}.pem`)
  if (issuer && from && to) {
    dated(serial, { issuer, keyFile, config, subject, from, to, out })
    const pem = readFileSync(out, 'utf8')
    return { pem, der: toDer(pem), key, keyPem, file: out, keyFile }
  }
  const by = issuer ? ['-CA', issuer.file, '-CAkey', issuer.keyFile] : []
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-new',
      '-key',
      keyFile,
      '-config',
      config,
      '-subj',
      subject,
      '-days',
      String(days),
      '-set_serial',
      number ?? String(4096 + serial),
      '-out',
      out,
      ...by
    ],
    { stdio: 'pipe' }
  )
  const pem = readFileSync(out, 'utf8')
  return { pem, der: toDer(pem), key, keyPem, file: out, keyFile }
}

/**
 * Only the subcommand for whole authorities takes dates in every version of OpenSSL.
 * @param {number} serial
 * @param {{ issuer: Minted, keyFile: string, config: string, subject: string, from: Date, to: Date, out: string }} wish
 */
function dated(serial, { issuer, keyFile, config, subject, from, to, out }) {
  const request = path.join(directory, `${serial}.csr`)
  execFileSync('openssl', ['req', '-new', '-key', keyFile, '-config', config, '-subj', subject, '-out', request], {
    stdio: 'pipe'
  })
  const database = file(`${serial}.index`, '')
  const serialFile = file(`${serial}.serial`, `0${(8192 + serial).toString(16)}\n`.slice(-5))
  const at = (/** @type {Date} */ date) => `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  const authority = file(
    `${serial}.ca.cnf`,
    `${readFileSync(config, 'utf8')}[ca]\ndefault_ca=c\n[c]\ndatabase=${database}\nserial=${serialFile}\n` +
      `new_certs_dir=${directory}\ndefault_md=sha256\npolicy=any\n[any]\norganizationName=optional\n`
  )
  execFileSync(
    'openssl',
    [
      'ca',
      '-batch',
      '-notext',
      '-config',
      authority,
      '-extensions',
      'ext',
      '-cert',
      issuer.file,
      '-keyfile',
      issuer.keyFile,
      '-startdate',
      at(from),
      '-enddate',
      at(to),
      '-in',
      request,
      '-out',
      out
    ],
    { stdio: 'pipe' }
  )
}

/** @param {string} pem */
export function toDer(pem) {
  return Buffer.concat(
    [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map((match) =>
      Buffer.from(match[1], 'base64')
    )
  )
}

export const CA = ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign']

/** @param {string} domain */
export const authority = (domain, extensions = [...CA, `subjectAltName=URI:spiffe://${domain}`]) =>
  mint({ subject: `/O=${domain}`, extensions })

/** @param {string} uri @param {Record<string, string | undefined>} [other] */
export function leafExtensions(uri, other = {}) {
  const wanted = {
    basicConstraints: 'critical,CA:false',
    keyUsage: 'critical,digitalSignature',
    subjectAltName: `URI:${uri}`,
    ...other
  }
  return Object.entries(wanted)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
}

/**
 * @param {Minted} issuer
 * @param {string} uri
 * @param {Record<string, string | undefined>} [other]
 * @param {KeyObject} [key]
 * @param {{ from?: Date, to?: Date }} [validity]
 */
export const leaf = (issuer, uri, other, key, validity) =>
  mint({ issuer, key, subject: '/O=leaf', extensions: leafExtensions(uri, other), ...validity })

const HASHES = { 256: 'sha256', 384: 'sha384', 512: 'sha512' }
const base64url = (/** @type {unknown} */ value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/**
 * A token signed by node:crypto. Header and claims may be texts, to say what JSON.stringify would not.
 * @param {Record<string, unknown> | string} header
 * @param {Record<string, unknown> | string} claims
 * @param {KeyObject} key
 * @param {string} [algorithm] what to sign with, unless the header says
 */
export function token(header, claims, key, algorithm = /** @type {any} */ (header).alg) {
  const text = `${base64url(header)}.${base64url(claims)}`
  const hash = HASHES[/** @type {256} */ (Number(algorithm.slice(2)))]
  const data = Buffer.from(text)
  const signature = algorithm.startsWith('ES')
    ? sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })
    : algorithm.startsWith('PS')
      ? sign(hash, data, { key, padding: 6, saltLength: Number(algorithm.slice(2)) / 8 })
      : algorithm.startsWith('HS')
        ? createHmac(hash, key).update(data).digest()
        : sign(hash, data, key)
  return `${text}.${signature.toString('base64url')}`
}

/** @param {Record<string, unknown>} [other] */
export const claims = (other = {}) => {
  const now = Math.floor(Date.now() / 1000)
  return { sub: 'spiffe://example.org/billing', aud: ['shop'], exp: now + 600, iat: now, ...other }
}

/** An error's code and rule (or reason), for comparing. @param {() => unknown} call */
export function failing(call) {
  try {
    call()
  } catch (error) {
    if (!countersign.CountersignError.is(error)) throw error
    const { code, rule, reason } = /** @type {any} */ (error)
    return [code, rule ?? reason].join(' ')
  }
  return 'accepted'
}
