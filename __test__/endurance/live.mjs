// Everything live that a process can have of a Workload API, each with a reader that uses what it gets.
import assert from 'node:assert/strict'
import { countersign } from '../support/spiffe-scene.mjs'

const { JwtSource, WorkloadApiClient, X509Source, verifyX509Svid } = countersign

/** @param {string} endpoint */
export async function everything(endpoint) {
  const client = new WorkloadApiClient({ endpoint })
  const [x509, jwt] = await Promise.all([X509Source.open({ endpoint }), JwtSource.open({ endpoint })])
  const seen = { x509: 0, jwt: 0, watched: 0, failed: /** @type {unknown[]} */ ([]) }
  const follow = async (/** @type {AsyncIterable<any>} */ values, /** @type {(value: any) => void} */ use) => {
    try {
      for await (const value of values) use(value)
    } catch (error) {
      seen.failed.push(error)
    }
  }
  const controller = new AbortController()
  const loops = [
    follow(x509.updates(), ({ svid, bundles }) => {
      seen.x509++
      assert.equal(
        verifyX509Svid(
          svid.certificates.map((/** @type {any} */ { raw }) => raw),
          bundles
        ).spiffeId.uri,
        svid.spiffeId.uri
      )
      assert.equal(svid.privateKey.type, 'private')
    }),
    follow(jwt.updates(), (bundles) => {
      seen.jwt += bundles.jwtBundle('example.org').size
    }),
    follow(client.watchX509Bundles({ signal: controller.signal }), (bundles) => {
      seen.watched += bundles.size > 0 ? 1 : 0
    })
  ]
  let events = 0
  x509.subscribe(() => {
    events++
  })
  return {
    x509,
    jwt,
    seen,
    get events() {
      return events
    },
    async close() {
      x509.close()
      jwt.close()
      controller.abort()
      await Promise.all(loops)
      assert.deepEqual(
        seen.failed.map((/** @type {any} */ error) => error.name),
        ['AbortError']
      )
    }
  }
}
