// Certificates by the openssl command line and tokens by node:crypto: signers that know nothing of this package.
import { execFileSync } from 'node:child_process'
import { createHmac, generateKeyPairSync, KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const countersign = createRequire(import.meta.url)('..')

const directory = mkdtempSync(path.join(tmpdir(), 'countersign-spiffe-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let count = 0

/** @param {string} name @param {string} text */
export function file (name, text) {
  const at = path.join(directory, name)
  writeFileSync(at, text)
  return at
}

/** @param {string} kind */
export function newKey (kind = 'P-256') {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  if (/^\d/.test(kind)) return generateKeyPairSync('rsa', { modulusLength: Number(kind) }).privateKey
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey
}

/** @param {KeyObject} key */
export const pkcs8 = (key) => String(key.export({ format: 'pem', type: 'pkcs8' }))

/**
 * @typedef {{ pem: string, der: Buffer, key: KeyObject, keyPem: string, file: string, keyFile: string }} Minted
 * @param {{ issuer?: Minted, key?: KeyObject, subject?: string, extensions: string[], days?: number }} wish
 * @returns {Minted}
 */
export function mint ({ issuer, key = newKey(), subject = '/O=example', extensions, days = 30 }) {
  const serial = ++count
  const keyPem = pkcs8(key)
  const keyFile = file(`${serial}.key`, keyPem)
  const config = file(`${serial}.cnf`, `[req]\ndistinguished_name=dn\nx509_extensions=ext\nstring_mask=utf8only\n[dn]\n[ext]\n${extensions.join('\n')}\n`)
  const out = path.join(directory, `${serial}.pem`)
  const by = issuer ? ['-CA', issuer.file, '-CAkey', issuer.keyFile] : []
  execFileSync('openssl', ['req', '-x509', '-new', '-key', keyFile, '-config', config, '-subj', subject, '-days', String(days), '-set_serial', String(4096 + serial), '-out', out, ...by], { stdio: 'pipe' })
  const pem = readFileSync(out, 'utf8')
  return { pem, der: toDer(pem), key, keyPem, file: out, keyFile }
}

/** @param {string} pem */
export function toDer (pem) {
  return Buffer.concat([...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map((match) => Buffer.from(match[1], 'base64')))
}

export const CA = ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign']

/** @param {string} domain */
export const authority = (domain, extensions = [...CA, `subjectAltName=URI:spiffe://${domain}`]) => mint({ subject: `/O=${domain}`, extensions })

/** @param {string} uri @param {Record<string, string | undefined>} [other] */
export function leafExtensions (uri, other = {}) {
  const wanted = { basicConstraints: 'critical,CA:false', keyUsage: 'critical,digitalSignature', subjectAltName: `URI:${uri}`, ...other }
  return Object.entries(wanted).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`)
}

/** @param {Minted} issuer @param {string} uri @param {Record<string, string | undefined>} [other] @param {KeyObject} [key] */
export const leaf = (issuer, uri, other, key) => mint({ issuer, key, subject: '/O=leaf', extensions: leafExtensions(uri, other) })

/**
 * The same certificate with another validity: the openssl command line knows whole days only.
 * @param {Buffer} der by a P-256 issuer, with a body of 256 bytes or more @param {Minted} issuer @param {Date} from @param {Date} until
 */
export function dated (der, issuer, from, until) {
  const end = 4 + 4 + der.readUInt16BE(6)
  const body = Buffer.from(der.subarray(4, end))
  // SEQUENCE of two UTCTime.
  const at = body.indexOf(Buffer.from([0x30, 0x1e, 0x17, 0x0d]))
  const utc = (/** @type {Date} */ time) => `${time.toISOString().slice(2, 19).replace(/\D/g, '')}Z`
  body.write(utc(from), at + 4)
  body.write(utc(until), at + 19)
  const signature = sign('sha256', body, issuer.key)
  const inside = Buffer.concat([body, der.subarray(end, end + 12), Buffer.from([0x03, signature.length + 1, 0]), signature])
  return Buffer.concat([Buffer.from([0x30, 0x82, inside.length >> 8, inside.length & 255]), inside])
}

const HASHES = { 256: 'sha256', 384: 'sha384', 512: 'sha512' }
const base64url = (/** @type {unknown} */ value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/**
 * A token signed by node:crypto. Header and claims may be texts, to say what JSON.stringify would not.
 * @param {Record<string, unknown> | string} header
 * @param {Record<string, unknown> | string} claims
 * @param {KeyObject} key
 * @param {string} [algorithm] what to sign with, unless the header says
 */
export function token (header, claims, key, algorithm = /** @type {any} */ (header).alg) {
  const text = `${base64url(header)}.${base64url(claims)}`
  const hash = HASHES[/** @type {256} */ (Number(algorithm.slice(2)))]
  const data = Buffer.from(text)
  const signature = algorithm.startsWith('ES')
    ? sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })
    : algorithm.startsWith('PS')
      ? sign(hash, data, { key, padding: 6, saltLength: Number(algorithm.slice(2)) / 8 })
      : algorithm.startsWith('HS') ? createHmac(hash, key).update(data).digest() : sign(hash, data, key)
  return `${text}.${signature.toString('base64url')}`
}

/** @param {Record<string, unknown>} [other] */
export const claims = (other = {}) => {
  const now = Math.floor(Date.now() / 1000)
  return { sub: 'spiffe://example.org/billing', aud: ['shop'], exp: now + 600, iat: now, ...other }
}

/** An error's code and rule (or reason), for comparing. @param {() => unknown} call */
export function failing (call) {
  try {
    call()
  } catch (error) {
    if (!countersign.CountersignError.is(error)) throw error
    const { code, rule, reason } = /** @type {any} */ (error)
    return [code, rule ?? reason].join(' ')
  }
  return 'accepted'
}
