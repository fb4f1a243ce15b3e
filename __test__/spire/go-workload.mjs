// Programs on go-spiffe as workloads of any user, see peers/go: they ask whatever serves a Workload API, and speak TLS.
import path from 'node:path'
import { install } from './harness.mjs'
import { Program, run } from '../support/program.mjs'

/** @typedef {import('../support/program.mjs').As} As */

export class GoWorkload {
  #file
  #endpoint

  /** @param {string} directory where a copy goes that other users can run @param {string} endpoint `unix:///...` */
  constructor(directory, endpoint) {
    this.#file = path.join(install('peers', directory), 'workload')
    this.#endpoint = endpoint
  }

  /**
   * Run a command to its end: the objects it printed. An error is what it said on standard error.
   * @param {string} command
   * @param {string[]} [args]
   * @param {As} [as]
   */
  async run(command, args = [], { timeout = 20_000, ...as } = {}) {
    const { code, stdout, stderr } = await run(
      this.#file,
      [command, '-socket', this.#endpoint, '-timeout', `${timeout}ms`, ...args],
      { ...as, timeout: timeout + 10_000 }
    )
    const lines = stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
    if (code !== 0) throw Object.assign(new Error(stderr.trim() || `exit code ${code}`), { lines })
    return lines
  }

  /**
   * Start a command that goes on; its lines are the objects it prints.
   * @param {string} command
   * @param {string[]} [args]
   * @param {As} [as]
   */
  start(command, args = [], as = {}) {
    return new Program(`workload ${command}`, this.#file, [command, '-socket', this.#endpoint, ...args], as)
  }

  /** Its X.509-SVIDs and bundles, once. @param {As} [as] */
  async x509(as) {
    return (await this.run('x509', [], as))[0]
  }

  /** @param {{ audience: string | string[], spiffeId?: string } & As} wish */
  jwt({ audience, spiffeId, ...as }) {
    return this.run(
      'jwt',
      [...[audience].flat().flatMap((one) => ['-audience', one]), ...(spiffeId === undefined ? [] : ['-id', spiffeId])],
      as
    )
  }

  /**
   * By the agent, or (`local`) by go-spiffe with the agent's bundles.
   * @param {{ audience: string, token: string, local?: boolean } & As} wish
   */
  async validate({ audience, token, local = false, ...as }) {
    return (await this.run('validate', ['-audience', audience, '-token', token, ...(local ? ['-local'] : [])], as))[0]
  }

  /**
   * A TLS server: who may come is `any`, a trust domain (`spiffe://example.org`) or an ID. Its lines tell of its peers.
   * @param {string} authorize
   * @param {As} [as]
   */
  async tlsServer(authorize, as) {
    const program = this.start('tls-server', ['-authorize', authorize], as)
    const { listening } = await program.says('the server listens', (line) => line.listening !== undefined)
    return { program, address: listening, port: Number(listening.split(':').at(-1)) }
  }

  /**
   * A TLS client that sends one line: the peer's ID, and the line that came back or the error.
   * @param {string} address
   * @param {{ authorize: string, line?: string } & As} wish
   */
  async tlsClient(address, { authorize, line = 'hello', ...as }) {
    return (
      await this.run('tls-client', ['-connect', address, '-authorize', authorize, '-line', line], as).catch((error) => {
        if (error.lines?.length) return error.lines
        throw error
      })
    )[0]
  }
}
