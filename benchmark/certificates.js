'use strict'
/** Certificates of P-256 keys by openssl, for chains that no code of ours has made. */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const AUTHORITY = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign'
const LEAF = 'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature'

/** @typedef {{ name: string, cert: string, key: string }} Certificate */

class Certificates {
  /** @param {string} directory */
  constructor(directory) {
    this.directory = directory
  }

  /** @param {string} name @param {string} [id] a SPIFFE ID @param {Certificate} [issuer] */
  authority(name, id, issuer) {
    return this.#make(name, AUTHORITY, id, issuer)
  }

  /** @param {string} name @param {string} id @param {Certificate} issuer @param {string} [extensions] */
  leaf(name, id, issuer, extensions) {
    return this.#make(name, extensions ? `${LEAF}\n${extensions}` : LEAF, id, issuer)
  }

  /** @param {string} name */
  #at(name) {
    return path.join(this.directory, name)
  }

  /**
   * @param {string} name
   * @param {string} extensions
   * @param {string} [id]
   * @param {Certificate} [issuer]
   * @returns {Certificate}
   */
  #make(name, extensions, id, issuer) {
    const [config, key, certificate] = ['cnf', 'key', 'pem'].map((ending) => this.#at(`${name}.${ending}`))
    const alternative = id === undefined ? '' : `\nsubjectAltName=URI:${id}`
    fs.writeFileSync(
      config,
      `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n${extensions}${alternative}\n`
    )
    const signer = issuer ? ['-CA', this.#at(`${issuer.name}.pem`), '-CAkey', this.#at(`${issuer.name}.key`)] : []
    const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30']
    const files = ['-keyout', key, '-out', certificate, '-config', config]
    execFileSync('openssl', ['req', '-x509', ...fresh, ...files, '-subj', `/O=${name}`, ...signer], { stdio: 'pipe' })
    return { name, cert: fs.readFileSync(certificate, 'utf8'), key: fs.readFileSync(key, 'utf8') }
  }
}

module.exports = { Certificates }
