// Looks at a source every few milliseconds, and proves what it finds: never an error, never an SVID that has expired or
// does not lead to the bundle beside it.
import assert from 'node:assert/strict'
import { countersign } from '../support/spiffe-scene.mjs'

const { verifyX509Svid } = countersign

/** @param {any} source */
export function watched(source) {
  const seen = { looks: 0, serials: new Set(), longest: 0, wrong: /** @type {unknown[]} */ ([]) }
  let last = performance.now()
  const timer = setInterval(() => {
    seen.longest = Math.max(seen.longest, performance.now() - last)
    last = performance.now()
    seen.looks++
    try {
      const { svid, bundles } = source.context()
      assert.ok(Date.now() < svid.expiresAt.getTime() + 1000)
      assert.equal(source.svid(), svid)
      assert.equal(verifyX509Svid(svid.certificates, bundles).spiffeId.uri, String(svid))
      if (!seen.serials.has(svid.serialNumber)) assert.ok(svid.certificates[0].checkPrivateKey(svid.privateKey))
      seen.serials.add(svid.serialNumber)
    } catch (error) {
      seen.wrong.push(error)
    }
  }, 3)
  return {
    seen,
    stop() {
      clearInterval(timer)
      assert.deepEqual(seen.wrong, [])
    }
  }
}
