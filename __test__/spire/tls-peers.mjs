// Peers of other makes for TLS: go-spiffe, spiffe-rustls and openssl, each as a server that sends lines back and as a
// client that says one.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { GoWorkload } from './go-workload.mjs'
import { Program, run } from '../support/program.mjs'

const { rustPeer } = createRequire(import.meta.url)('../../scripts/rust-peers.js')

/** @typedef {import('./tls-domains.mjs').Domain} Domain */
/**
 * @typedef {{ version: 'TLSv1.2' | 'TLSv1.3' }} Limits what ours speaks; openssl is told, because it does not choose by
 * itself
 */
/** @typedef {{ peer?: string, line?: string, serial?: string, protocol?: string, error?: string }} Answer */

/** @param {string} text */
const lastObject = (text) => JSON.parse(text.trim().split('\n').at(-1) || '{"error":"it said nothing"}')

class GoPeer {
  name = 'go-spiffe'
  #directory

  /** @param {string} directory */
  constructor(directory) {
    this.#directory = directory
  }

  /** @param {Domain} domain */
  #as = (domain) => new GoWorkload(this.#directory, domain.endpoint)

  /** @param {Domain} domain @param {string} who */
  serve(domain, who) {
    return this.#as(domain).tlsServer(who)
  }

  /** @param {Domain} domain @param {number} port @param {string} who @returns {Promise<Answer>} */
  call(domain, port, who) {
    return this.#as(domain).tlsClient(`127.0.0.1:${port}`, { authorize: who, line: 'good day' })
  }
}

class RustPeer {
  name = 'spiffe-rustls'
  #program

  /** @param {string} directory */
  constructor(directory) {
    this.#program = path.join(directory, 'spiffe-tls')
    copyFileSync(rustPeer('spiffe-tls'), this.#program)
    chmodSync(this.#program, 0o755)
  }

  /** @param {Domain} domain @param {string} who */
  async serve(domain, who) {
    const program = new Program(this.name, this.#program, ['server', domain.endpoint, who])
    const { listening } = await program.says('the server listens', (line) => line.listening !== undefined)
    return { program, port: Number(listening.split(':').at(-1)) }
  }

  /** @param {Domain} domain @param {number} port @param {string} who @returns {Promise<Answer>} */
  async call(domain, port, who) {
    const { stdout, stderr } = await run(this.#program, [
      'client',
      domain.endpoint,
      who,
      `127.0.0.1:${port}`,
      'good day',
      '1',
      '0'
    ])
    return stdout ? lastObject(stdout) : { error: stderr }
  }

  /**
   * A client that goes on, over a new connection and over its first one.
   * @param {Domain} domain
   * @param {number} port
   * @param {string} who
   */
  keepCalling(domain, port, who) {
    return new Program(this.name, this.#program, [
      'client',
      domain.endpoint,
      who,
      `127.0.0.1:${port}`,
      'good day',
      '1000000',
      '100'
    ])
  }
}

/** It knows files and no SPIFFE IDs: whom it trusts is whoever an authority of the trust domain has signed. */
class OpensslPeer {
  name = 'openssl'
  #directory
  #made = 0

  /** @param {string} directory */
  constructor(directory) {
    this.#directory = directory
  }

  /** What it is and whom it trusts, as files. @param {Domain} domain @param {string} who */
  #files(domain, who) {
    const directory = path.join(this.#directory, `openssl-${++this.#made}`)
    mkdirSync(directory, { mode: 0o700 })
    const { svid } = domain.source.context()
    const write = (/** @type {string} */ name, /** @type {string} */ text) => {
      writeFileSync(path.join(directory, name), text, { mode: 0o600 })
      return path.join(directory, name)
    }
    const trusted = domain.source.bundle(new URL(who).host).toPem()
    return [
      '-cert',
      write('chain.pem', svid.chainPem()),
      '-cert_chain',
      write('sent.pem', svid.chainPem()),
      '-key',
      write('key.pem', svid.keyPem()),
      '-CAfile',
      write('bundle.pem', trusted),
      '-verify_return_error'
    ]
  }

  /** @param {Limits} limits */
  #version = ({ version }) => (version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3')

  /** @param {Domain} domain @param {string} who @param {Limits} limits */
  async serve(domain, who, limits) {
    const program = new Program(this.name, 'openssl', [
      's_server',
      '-accept',
      '127.0.0.1:0',
      '-rev',
      '-Verify',
      '2',
      this.#version(limits),
      ...this.#files(domain, who)
    ])
    const { msg } = await program.says('the server listens', ({ msg }) => /^ACCEPT \S+:\d+/.test(msg))
    return { program, port: Number(msg.split(':').at(-1)) }
  }

  /**
   * @param {Domain} domain
   * @param {number} port
   * @param {string} who
   * @param {Limits} limits
   * @param {string[]} [more]
   * @returns {Promise<Answer & { text: string }>}
   */
  async call(domain, port, who, limits, more = ['-quiet']) {
    const { code, stdout, stderr } = await run(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${port}`, this.#version(limits), ...this.#files(domain, who), ...more],
      { input: 'good day\nbye\n' }
    )
    const [line] = /^good day$/m.exec(stdout) ?? []
    return { text: stdout, ...(line === undefined ? { error: stderr || `exit code ${code}` } : { line }) }
  }
}

/** @param {string} directory @returns {{ go: GoPeer, rust: RustPeer, openssl: OpensslPeer }} */
export const startPeers = (directory) => ({
  go: new GoPeer(directory),
  rust: new RustPeer(directory),
  openssl: new OpensslPeer(directory)
})
