// The command line of spire-agent as a workload, of any user: `spire-agent api ...` against whatever serves a socket.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import path from 'node:path'
import { Program, run } from '../support/program.mjs'

/** @typedef {import('../support/program.mjs').As} As */

/** A command line of SPIRE that did not end well; the message is what it said. */
export class SpireError extends Error {
  /** @param {{ code: number | null, stdout: string, stderr: string }} result */
  constructor({ code, stdout, stderr }) {
    super((stderr + stdout).trim() || `exit code ${code}`)
  }
}

export class AgentCommand {
  #file
  #socketPath

  /** @param {string} bin where spire-agent is; the workload's user must be able to run it @param {string} socketPath */
  constructor(bin, socketPath) {
    this.#file = path.join(bin, 'spire-agent')
    this.#socketPath = socketPath
  }

  /** @param {string[]} args @param {As} as */
  async #api(args, { timeout = 10_000, ...as }) {
    const result = await run(
      this.#file,
      ['api', ...args, '-socketPath', this.#socketPath, '-timeout', `${timeout}ms`, '-output', 'json'],
      { ...as, timeout: timeout + 10_000 }
    )
    if (result.code !== 0) throw new SpireError(result)
    return JSON.parse(result.stdout)
  }

  /** `api fetch x509`: what an agent answers to FetchX509SVID. @param {As} [as] */
  async fetchX509(as = {}) {
    const { svids, federated_bundles: federated, crl } = await this.#api(['fetch', 'x509'], as)
    return {
      svids: svids.map((/** @type {any} */ svid) => ({
        spiffeId: svid.spiffe_id,
        hint: svid.hint,
        chain: certificates(svid.x509_svid),
        bundle: certificates(svid.bundle),
        privateKey: createPrivateKey({ key: Buffer.from(svid.x509_svid_key, 'base64'), format: 'der', type: 'pkcs8' })
      })),
      federatedBundles: Object.fromEntries(
        Object.entries(federated).map(([id, bundle]) => [id, certificates(/** @type {string} */ (bundle))])
      ),
      crl
    }
  }

  /**
   * `api fetch jwt`: what an agent answers to FetchJWTSVID and FetchJWTBundles.
   * @param {{ audience: string | string[], spiffeId?: string } & As} wish
   */
  async fetchJwt({ audience, spiffeId, ...as }) {
    const only = spiffeId === undefined ? [] : ['-spiffeID', spiffeId]
    const [{ svids }, { bundles }] = await this.#api(
      ['fetch', 'jwt', '-audience', [audience].flat().join(','), ...only],
      as
    )
    return {
      svids: svids.map((/** @type {any} */ { spiffe_id: id, hint, svid }) => ({ spiffeId: id, hint, token: svid })),
      bundles: Object.fromEntries(
        Object.entries(bundles).map(([id, jwks]) => [
          id,
          JSON.parse(Buffer.from(/** @type {string} */ (jwks), 'base64').toString())
        ])
      )
    }
  }

  /**
   * `api validate jwt`: what an agent answers to ValidateJWTSVID.
   * @param {{ audience: string, token: string } & As} wish
   */
  async validateJwt({ audience, token, ...as }) {
    const { spiffe_id: spiffeId, claims } = await this.#api(
      ['validate', 'jwt', '-audience', audience, '-svid', token],
      as
    )
    return { spiffeId, claims }
  }

  /** `api watch`: a program that prints every update, for people to read. @param {As} [as] */
  watch(as = {}) {
    return new Program('spire-agent api watch', this.#file, ['api', 'watch', '-socketPath', this.#socketPath], as)
  }
}

/** @param {string} base64 concatenated DER */
function certificates(base64) {
  const der = Buffer.from(base64, 'base64')
  const found = []
  for (let at = 0; at < der.length; ) {
    // A certificate is a SEQUENCE of more than 255 bytes and less than 64 KiB: its length is in the third and fourth.
    const length = 4 + der.readUInt16BE(at + 2)
    found.push(new X509Certificate(der.subarray(at, at + length)))
    at += length
  }
  return found
}
