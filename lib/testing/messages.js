'use strict'
/** Messages of the Workload API made by hand, for `faults.respond`. */

const { linuxOnly } = require('../native/load')
const { checkOptions } = require('../internal/options')
const { MintedX509Svid } = require('./ca')

const MESSAGES = 'to write messages of the Workload API'

/** @param {any} bundle DER, or something with authorities */
function der(bundle) {
  if (bundle === undefined || bundle instanceof Uint8Array) return bundle && Buffer.from(bundle)
  return (bundle.x509Bundle ?? bundle).toDer()
}

/** @param {Record<string, any>} bundles @param {(bundle: any) => Buffer} write */
function entries(bundles, write) {
  return Object.entries(bundles).map(([name, bundle]) => ({
    trustDomain: name.includes('://') ? name : `spiffe://${name}`,
    bytes: write(bundle)
  }))
}

/** @param {import('../../types/testing').X509ResponseParts} parts */
function encodeX509Response(parts) {
  const {
    svids = [],
    federatedBundles = {},
    crls = []
  } = checkOptions(parts, ['svids', 'federatedBundles', 'crls'], 'parts')
  return linuxOnly('writeX509Response', MESSAGES)(
    svids.map((/** @type {any} */ { spiffeId, svid, chain, key, bundle, hint }) => {
      const minted = svid instanceof MintedX509Svid ? /** @type {any} */ (svid) : undefined
      return {
        spiffeId: spiffeId && String(spiffeId),
        chain: chain ?? minted?.chain,
        key: key ?? minted?.key,
        bundle: der(bundle),
        hint
      }
    }),
    entries(federatedBundles, der),
    crls.map((/** @type {Uint8Array} */ crl) => Buffer.from(crl))
  )
}

/** @param {readonly { spiffeId?: any, token?: string, hint?: string }[]} svids */
function encodeJwtResponse(svids) {
  return linuxOnly(
    'writeJwtResponse',
    MESSAGES
  )(svids.map(({ spiffeId, token, hint }) => ({ spiffeId: spiffeId && String(spiffeId), token, hint })))
}

/** @param {Record<string, any>} bundles */
const encodeX509BundlesResponse = (bundles) => linuxOnly('writeBundlesResponse', MESSAGES)(entries(bundles, der), false)
/** @param {Record<string, any>} bundles */
const encodeJwtBundlesResponse = (bundles) =>
  linuxOnly('writeBundlesResponse', MESSAGES)(
    entries(bundles, (bundle) =>
      Buffer.from(typeof bundle === 'string' ? bundle : (bundle.jwtBundle ?? bundle).toJwks())
    ),
    true
  )

module.exports = { encodeJwtBundlesResponse, encodeJwtResponse, encodeX509BundlesResponse, encodeX509Response }
