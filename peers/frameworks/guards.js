'use strict'
/** The guard in front of handlers of Express 4 and 5 and of Fastify. */

const assert = require('node:assert/strict')
const { createHash } = require('node:crypto')
const { once } = require('node:events')
const {
  getPrincipal,
  HumanPrincipal,
  requirePrincipal,
  WorkloadPrincipal,
  Issuer,
  TenantId
} = require('countersign/principal')

const TENANT = TenantId.fromName('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'acme')
const human = new HumanPrincipal({ userId: TENANT, tenantId: TENANT })
const workload = new WorkloadPrincipal({
  trustDomain: 'td',
  issuer: Issuer.oauth,
  tenantId: TENANT,
  tenantSlug: 'b',
  serviceName: 'a'
})
/** Who a request says it is from: this is about the frameworks, and proofs have tests of their own. */
const source = (/** @type {any} */ req) => {
  if (req.headers['x-who'] === 'broken') throw new Error(createHash('sha1').update('a secret').digest('hex'))
  return { human, workload }[/** @type {'human'} */ (req.headers['x-who'])]
}

/** What every framework must answer. */
const EXPECTED = [
  ['workload', 200, 'spiffe://td/a/b true'],
  ['human', 403, '{"error":"forbidden"}'],
  ['', 401, '{"error":"not_authenticated"}'],
  ['broken', 500, '{"error":"internal"}']
]

/** @param {string} origin */
async function ask(origin) {
  for (const [who, status, text] of EXPECTED) {
    const response = await fetch(origin, { headers: { 'x-who': String(who) } })
    assert.deepEqual([response.status, await response.text()], [status, text])
    if (status !== 200) assert.equal(response.headers.get('cache-control'), 'no-store')
  }
}

/** @param {any} express */
async function checkExpress(express) {
  const app = express()
  app.use(requirePrincipal(source, { kind: 'workload' }))
  app.get('/', (/** @type {any} */ req, /** @type {any} */ res) =>
    res.send(`${req.principal} ${getPrincipal(req) === workload}`)
  )
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await ask(`http://127.0.0.1:${server.address().port}/`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** @param {any} fastify @param {string} hook */
async function checkFastify(fastify, hook) {
  const app = fastify()
  let handled = 0
  app.addHook(hook, requirePrincipal(source, { kind: 'workload' }))
  app.get('/', async (/** @type {any} */ request) => {
    handled++
    return `${request.principal} ${getPrincipal(request) === workload}`
  })
  try {
    await ask(await app.listen({ port: 0, host: '127.0.0.1' }))
    assert.equal(handled, 1)
  } finally {
    await app.close()
  }
}

/** @param {NodeJS.Require} foreign @returns {[string, () => Promise<void>][]} */
module.exports = (foreign) => [
  ['Express 5', () => checkExpress(foreign('express'))],
  ['Express 4', () => checkExpress(foreign('express4'))],
  ['Fastify, onRequest', () => checkFastify(foreign('fastify'), 'onRequest')],
  ['Fastify, preHandler', () => checkFastify(foreign('fastify'), 'preHandler')]
]
