'use strict'
/** X509-SVIDs as files, under the names that `spire-agent api fetch x509 -write` gives them. */

const { FileSet } = require('./file-set')

/** @typedef {import('../../index').X509Context} X509Context */
/** @typedef {import('../../index').X509Svid} X509Svid */

const NOTES = `Files in DIR, as spire-agent names them: svid.0.pem (the chain), svid.0.key (mode 0600), bundle.0.pem (of
its own trust domain), federated_bundle.0.0.pem and so on (of other trust domains, in the order of their names);
svid.1.pem for the next identity. They are links through DIR/..svids, and change all at once when that link is
replaced: a program that needs a key and the certificate that belongs to it opens DIR/..svids/ once (cd -P) and reads
both there.`

class SvidFiles {
  #set

  /** @param {string} directory */
  constructor(directory) {
    this.#set = new FileSet(directory, 'svids')
  }

  /**
   * @param {X509Context} context
   * @param {readonly X509Svid[]} svids those of the context that are wanted
   * @returns {string[]} the names
   */
  write(context, svids) {
    /** @type {import('./file-set').Files} */
    const files = {}
    svids.forEach((svid, index) => {
      const own = svid.spiffeId.trustDomain.name
      files[`svid.${index}.pem`] = { text: svid.chainPem(), mode: 0o644 }
      files[`svid.${index}.key`] = { text: svid.keyPem(), mode: 0o600 }
      files[`bundle.${index}.pem`] = { text: pem(context, own), mode: 0o644 }
      const others = context.bundles.trustDomains.filter(({ name }) => name !== own && context.bundles.x509Bundle(name))
      others.forEach(({ name }, place) => {
        files[`federated_bundle.${index}.${place}.pem`] = { text: pem(context, name), mode: 0o644 }
      })
    })
    this.#set.publish(files)
    return Object.keys(files)
  }

  /** Nothing is left of what was written. */
  remove() {
    this.#set.remove()
  }
}

/**
 * @param {X509Context} context
 * @param {string} trustDomain
 */
function pem(context, trustDomain) {
  return context.bundles.x509Bundle(trustDomain)?.toPem() ?? ''
}

module.exports = { SvidFiles, NOTES }
