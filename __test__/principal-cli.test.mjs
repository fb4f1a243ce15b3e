// This process's own principal, from the command line and the environment.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CliResolver, Issuer } from 'countersign/principal'
import { entryPoint, runScript } from './support/child.mjs'
import { failing, OTHER_TENANT, TENANT } from './support/principal-scene.mjs'

const fields = { trustDomain: 'gnomes.local', serviceName: 'market-worker', tenantId: TENANT, tenantSlug: 'world_cup' }
const env = {
  COUNTERSIGN_TRUST_DOMAIN: 'gnomes.local',
  COUNTERSIGN_SERVICE_NAME: 'market-worker',
  COUNTERSIGN_TENANT_ID: TENANT,
  COUNTERSIGN_TENANT_SLUG: 'world_cup'
}
const argv = [
  '--trust-domain',
  'gnomes.local',
  '--service-name=market-worker',
  '--tenant-id',
  TENANT,
  '--tenant-slug=world_cup'
]
const WIRE =
  '{"kind":"workload","workload_id":"spiffe://gnomes.local/market-worker/world_cup",' +
  `"trust_domain":"gnomes.local","issuer":{"kind":"cli"},"tenant_id":"${TENANT}","tenant_slug":"world_cup",` +
  '"service_name":"market-worker","attributes":{}}'

test('from fields: always the same principal', async () => {
  const resolver = new CliResolver(fields)
  const principal = await resolver.resolve()
  assert.equal(principal.toWire(), WIRE)
  assert.equal(principal, resolver.principal)
  assert.equal(await resolver.resolve(), principal)
  assert.equal(principal.issuer, Issuer.cli)
  const system = await new CliResolver({
    ...fields,
    tenantId: '00000000-0000-0000-0000-000000000000',
    attributes: { pid: 5 }
  }).resolve()
  assert.equal(system.attributes.pid, 5)
})

test('what is missing is told in the order of the contract', () => {
  for (const [given, name] of /** @type {[any, string][]} */ ([
    [{}, 'trustDomain'],
    [{ trustDomain: 'td' }, 'serviceName'],
    [{ trustDomain: 'td', serviceName: 'a' }, 'tenantId'],
    [{ trustDomain: 'td', serviceName: 'a', tenantId: TENANT }, 'tenantSlug']
  ])) {
    assert.equal(
      failing(() => new CliResolver(given)),
      `COMPONENT ${name} not_set`
    )
  }
  assert.throws(() => CliResolver.read({ argv: [], env: {} }), { message: /--trust-domain.*COUNTERSIGN_TRUST_DOMAIN/ })
  assert.equal(
    failing(() => new CliResolver({ ...fields, serviceName: 'a b' })),
    'COMPONENT service bad_path_segment_char'
  )
  assert.equal(
    failing(() => new CliResolver({ ...fields, tenantId: 'x' })),
    'ID not_a_uuid'
  )
  assert.equal(
    failing(() => new CliResolver({ ...fields, trustDomain: 'A' })),
    'TRUST_DOMAIN bad_trust_domain_char'
  )
  assert.equal(
    failing(() => new CliResolver(/** @type {any} */ ({ ...fields, issuer: Issuer.mtls }))),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => new CliResolver(/** @type {any} */ (undefined))),
    'ARGUMENT'
  )
})

test('the command line comes before the environment, and that before the defaults', async () => {
  assert.equal(CliResolver.read({ argv, env: {} }).principal.toWire(), WIRE)
  assert.equal(CliResolver.read({ argv: [], env }).principal.toWire(), WIRE)
  assert.equal(CliResolver.read({ argv: [], env: {}, defaults: fields }).principal.toWire(), WIRE)
  const { principal } = CliResolver.read({
    argv: ['--tenant-slug', 'line'],
    env: { ...env, COUNTERSIGN_TENANT_SLUG: 'env' },
    defaults: { tenantSlug: 'default' }
  })
  assert.equal(principal.tenantSlug, 'line')
  assert.equal(
    CliResolver.read({
      argv: [],
      env: { COUNTERSIGN_TENANT_SLUG: 'env' },
      defaults: { ...fields, tenantSlug: 'default' }
    }).principal.tenantSlug,
    'env'
  )
})

test('attributes are put together', () => {
  const { attributes } = CliResolver.read({
    argv: [...argv, '--attribute', 'zone=b=c', '--attribute=rack='],
    env: { COUNTERSIGN_ATTRIBUTES: '{"zone":"x","nested":{"a":[1]},"env":true}' },
    defaults: { attributes: { env: 'default', own: 1 } }
  }).principal
  assert.deepEqual(JSON.parse(JSON.stringify(attributes)), {
    env: true,
    nested: { a: [1] },
    own: 1,
    rack: '',
    zone: 'b=c'
  })
  for (const text of ['', '[]', 'null', '5', '{', '"x"'])
    assert.equal(
      failing(() => CliResolver.read({ argv, env: { COUNTERSIGN_ATTRIBUTES: text } })),
      'ARGUMENT',
      text
    )
  for (const value of ['zone', '=x', ''])
    assert.equal(
      failing(() => CliResolver.read({ argv: [...argv, '--attribute', value], env: {} })),
      'ARGUMENT',
      value
    )
  assert.equal(
    failing(() => CliResolver.read({ argv: [...argv, '--attribute', 'a=1', '--attribute', 'a=2'], env: {} })),
    'ARGUMENT'
  )
  const proto = CliResolver.read({ argv: [...argv, '--attribute', '__proto__=x'], env: {} }).principal.attributes
  assert.deepEqual(Object.keys(proto), ['__proto__'])
})

test("the program's own options are passed over", () => {
  const own = ['serve', '--port', '80', '--trust-domains', 'x', '-v', '--', '--trust-domain', 'evil', '--tenant-id']
  assert.equal(CliResolver.read({ argv: [...argv, ...own], env: {} }).principal.toWire(), WIRE)
})

test('an option that says two things, or nothing', () => {
  assert.equal(
    failing(() => CliResolver.read({ argv: [...argv, '--tenant-slug', 'other'], env: {} })),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => CliResolver.read({ argv: [...argv.slice(0, -1), '--tenant-slug'], env: {} })),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => CliResolver.read({ argv: ['--tenant-slug', '--trust-domain', 'x'], env })),
    'ARGUMENT'
  )
  // A variable that was not filled in does not bring back the default.
  assert.equal(
    failing(() =>
      CliResolver.read({
        argv: [],
        env: { COUNTERSIGN_TENANT_ID: '' },
        defaults: { ...fields, tenantId: OTHER_TENANT }
      })
    ),
    'COMPONENT tenantId empty'
  )
  assert.equal(
    failing(() => CliResolver.read({ argv: ['--tenant-id='], env })),
    'COMPONENT tenantId empty'
  )
  assert.equal(
    failing(() => CliResolver.read(/** @type {any} */ ({ argv: 'x' }))),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => CliResolver.read(/** @type {any} */ ({ arguments: [] }))),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => CliResolver.read(/** @type {any} */ ({ argv: [], env: {}, defaults: { slug: 'x' } }))),
    'ARGUMENT'
  )
})

test('a process, as an operator starts it', async () => {
  const script =
    `const { CliResolver } = require(${JSON.stringify(entryPoint('countersign/principal'))}); ` +
    'CliResolver.read().resolve().then(({ workloadId, attributes }) => console.log(workloadId, attributes.zone))'
  const { stdout, stderr } = await runScript(script, {
    env: { ...env, COUNTERSIGN_SERVICE_NAME: 'from-env', COUNTERSIGN_ATTRIBUTES: '{"zone":"b"}' }
  })
  assert.equal(stdout.trim(), 'spiffe://gnomes.local/from-env/world_cup b', stderr)
})
