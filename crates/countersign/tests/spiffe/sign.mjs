// An independent signer: makes keys and signs the payload on stdin with all nine algorithms of JWT-SVID, by node:crypto.
import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'

const payload = readFileSync(0)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const curves = { 256: 'P-256', 384: 'P-384', 512: 'P-521' }
const keys = [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' }]
const tokens = {}
for (const size of [256, 384, 512]) {
  const ec = generateKeyPairSync('ec', { namedCurve: curves[size] })
  keys.push({ ...ec.publicKey.export({ format: 'jwk' }), kid: curves[size] })
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: size / 8 }
  const ways = [
    [`RS${size}`, 'rsa', { key: rsa.privateKey }],
    [`PS${size}`, 'rsa', { key: rsa.privateKey, ...pss }],
    [`ES${size}`, curves[size], { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }]
  ]
  for (const [alg, kid, key] of ways) {
    const header = Buffer.from(JSON.stringify({ alg, kid, typ: 'JWT' }))
    const signed = `${header.toString('base64url')}.${payload.toString('base64url')}`
    tokens[alg] = `${signed}.${sign(`sha${size}`, Buffer.from(signed), key).toString('base64url')}`
  }
}
process.stdout.write(JSON.stringify({ tokens, jwks: JSON.stringify({ keys }) }))
