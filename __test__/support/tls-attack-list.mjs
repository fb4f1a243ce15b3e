// What an attacker shows in place of a good certificate, and the rule each breaks. Nobody is told apart by the
// authorizer: every name is welcome.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { newKey } from './spiffe-scene.mjs'
import { CA, intermediateA, leaf, leafBetween, mint, rootA, rootB, shown } from './tls-scene.mjs'

export const ID = 'spiffe://a.test/client'
export const otherIntermediate = mint({
  issuer: rootB,
  subject: '/O=intermediate',
  extensions: [...CA, 'subjectAltName=URI:spiffe://a.test']
})
export const unknownRoot = mint({ subject: '/O=a.test', extensions: [...CA, 'subjectAltName=URI:spiffe://a.test'] })
export const notACa = leaf(rootA, 'spiffe://a.test/other')
const short = mint({
  issuer: rootA,
  subject: '/O=short',
  extensions: ['basicConstraints=critical,CA:true,pathlen:0', CA[1]]
})
const belowShort = mint({ issuer: short, subject: '/O=below short', extensions: CA })

/** The configuration of openssl has its own ideas of commas and quotes. @param {string[]} uris */
export const san = (...uris) => {
  const names = Buffer.concat(uris.map((uri) => Buffer.concat([Buffer.of(0x86, uri.length), Buffer.from(uri)])))
  return { subjectAltName: `DER:${Buffer.concat([Buffer.of(0x30, names.length), names]).toString('hex')}` }
}

/** @typedef {[what: string, shown: { key: string, cert: string }, rule: string]} Attack */

/** @type {Attack[]} */
export const ATTACKS = [
  [
    'an authority of another trust domain, whose bundle is there, mints our name',
    shown(leaf(rootB, ID)),
    'unknown_issuer'
  ],
  ['the same with its root in the chain', shown(leaf(rootB, ID), rootB), 'unknown_issuer'],
  [
    'the same through an intermediate that claims our trust domain',
    shown(leaf(otherIntermediate, ID), otherIntermediate),
    'unknown_issuer'
  ],
  ['the same with our root in the chain', shown(leaf(rootB, ID), rootB, rootA), 'unknown_issuer'],
  ['an authority of the same name that nobody knows', shown(leaf(unknownRoot, ID), unknownRoot), 'invalid_signature'],
  ['a trust domain without a bundle', shown(leaf(rootA, 'spiffe://c.test/client')), 'no_bundle'],
  [
    'two URI SANs',
    shown(leaf(rootA, ID, { subjectAltName: `URI:${ID},URI:spiffe://a.test/admin` })),
    'multiple_uri_sans'
  ],
  ['the same URI SAN twice', shown(leaf(rootA, ID, san(ID, ID))), 'multiple_uri_sans'],
  [
    'a URI SAN that is no SPIFFE ID beside one that is',
    shown(leaf(rootA, ID, { subjectAltName: `URI:https://a.test/,URI:${ID}` })),
    'multiple_uri_sans'
  ],
  ['no URI SAN', shown(leaf(rootA, ID, { subjectAltName: 'DNS:client.a.test' })), 'missing_spiffe_id'],
  ['its name as a DNS SAN', shown(leaf(rootA, ID, { subjectAltName: `DNS:${ID}` })), 'missing_spiffe_id'],
  ['no SAN at all', shown(leaf(rootA, ID, { subjectAltName: undefined })), 'missing_spiffe_id'],
  ['another scheme', shown(leaf(rootA, ID, { subjectAltName: 'URI:https://a.test/client' })), 'invalid_spiffe_id'],
  ['the name of a trust domain', shown(leaf(rootA, 'spiffe://a.test')), 'leaf_id_without_path'],
  [
    'a SAN with a comma and a second name behind it',
    shown(leaf(rootA, ID, san(`${ID}, URI:spiffe://a.test/admin`))),
    'invalid_spiffe_id'
  ],
  ['a SAN with quotes', shown(leaf(rootA, ID, san('spiffe://a.test/"client"'))), 'invalid_spiffe_id'],
  ['an apostrophe', shown(leaf(rootA, ID, san("spiffe://a.test/quote'd"))), 'invalid_spiffe_id'],
  ['a NUL in the SAN', shown(leaf(rootA, ID, san(`${ID}\0.evil`))), 'invalid_spiffe_id'],
  ['a CA as a leaf', shown(leaf(rootA, ID, { basicConstraints: 'critical,CA:true' })), 'leaf_is_ca'],
  [
    'a CA that signs as a leaf',
    shown(leaf(rootA, ID, { basicConstraints: 'critical,CA:true', keyUsage: 'critical,digitalSignature,keyCertSign' })),
    'leaf_is_ca'
  ],
  [
    'an intermediate as a leaf',
    shown(
      mint({
        issuer: rootA,
        subject: '/O=intermediate',
        extensions: [CA[0], 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign', `subjectAltName=URI:${ID}`]
      })
    ),
    'leaf_is_ca'
  ],
  [
    'no digitalSignature',
    shown(leaf(rootA, ID, { keyUsage: 'critical,keyEncipherment' }, newKey('2048'))),
    'leaf_missing_digital_signature'
  ],
  [
    'keyCertSign',
    shown(leaf(rootA, ID, { keyUsage: 'critical,digitalSignature,keyCertSign' })),
    'leaf_has_key_cert_sign'
  ],
  ['cRLSign', shown(leaf(rootA, ID, { keyUsage: 'critical,digitalSignature,cRLSign' })), 'leaf_has_crl_sign'],
  ['no key usage', shown(leaf(rootA, ID, { keyUsage: undefined })), 'leaf_missing_key_usage'],
  ['expired', shown(leafBetween(rootA, ID, '20200101000000Z', '20210101000000Z')), 'expired'],
  ['not yet valid', shown(leafBetween(rootA, ID, '20900101000000Z', '20910101000000Z')), 'not_yet_valid'],
  ['an intermediate that is not sent', shown(leaf(intermediateA, 'spiffe://a.test/unsent')), 'unknown_issuer'],
  ['a leaf that signs', shown(leaf(notACa, ID), notACa), 'unknown_issuer'],
  ['an intermediate below one that may have none', shown(leaf(belowShort, ID), belowShort, short), 'path_length'],
  [
    'junk instead of the intermediate',
    shown(leaf(intermediateA, 'spiffe://a.test/junk'), otherIntermediate, rootB, notACa, unknownRoot),
    'unknown_issuer'
  ]
]

/** An extended key usage that is not for the role. */
export const WRONG_ROLE = /** @type {Record<'server' | 'client', Attack>} */ ({
  server: [
    'a certificate for servers',
    shown(leaf(rootA, ID, { extendedKeyUsage: 'serverAuth' })),
    'extended_key_usage'
  ],
  client: [
    'a certificate for clients',
    shown(leaf(rootA, ID, { extendedKeyUsage: 'clientAuth' })),
    'extended_key_usage'
  ]
})

/** All of them, for tls-attacks.cjs, which knows no openssl. @param {string} directory */
export function writeAttacks(directory) {
  const all = [
    ...ATTACKS.map((attack) => ({ attack, side: 'both' })),
    ...Object.entries(WRONG_ROLE).map(([side, attack]) => ({ attack, side }))
  ]
  writeFileSync(
    path.join(directory, 'attacks.json'),
    JSON.stringify(all.map(({ attack: [what, { key, cert }, rule], side }) => ({ what, side, key, cert, rule })))
  )
}
