// A self-signed certificate for localhost, made on the spot: Node can sign, but not write a certificate.
import { createSign, generateKeyPairSync } from 'node:crypto'

/** @param {number} tag @param {...Buffer} parts */
function der(tag, ...parts) {
  const content = Buffer.concat(parts)
  const length =
    content.length < 128
      ? Buffer.of(content.length)
      : content.length < 256
        ? Buffer.of(0x81, content.length)
        : Buffer.of(0x82, content.length >> 8, content.length & 255)
  return Buffer.concat([Buffer.of(tag), length, content])
}
const sequence = (/** @type {Buffer[]} */ ...parts) => der(0x30, ...parts)
const oid = (/** @type {number[]} */ ...bytes) => der(0x06, Buffer.from(bytes))

export function certificate() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(der(0x31, sequence(oid(0x55, 4, 3), der(0x0c, Buffer.from('localhost')))))
  const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2))
  const time = (/** @type {number} */ at) =>
    der(0x18, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
  const alternative = sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(der(0x82, Buffer.from('localhost')))))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1)),
    ecdsaWithSha256,
    name,
    sequence(time(Date.now() - 3600e3), time(Date.now() + 3600e3)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(alternative))
  )
  const signature = createSign('sha256').update(body).sign(privateKey)
  const encoded = sequence(body, ecdsaWithSha256, der(0x03, Buffer.of(0), signature)).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: `-----BEGIN CERTIFICATE-----\n${encoded.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  }
}
