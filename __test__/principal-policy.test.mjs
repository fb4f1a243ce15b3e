// Principals as policy engines take them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HumanPrincipal, Issuer, toAttributeMap, toCedarEntity, WorkloadPrincipal } from 'countersign/principal'
import { failing, OTHER_TENANT, TENANT } from './support/principal-scene.mjs'

const workload = (/** @type {any} */ attributes) =>
  new WorkloadPrincipal({
    trustDomain: 'example.org',
    issuer: Issuer.custom('k8s'),
    tenantId: TENANT,
    tenantSlug: 'blue',
    serviceName: 'billing',
    attributes
  })

test('the Cedar entity of a workload', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(toCedarEntity(workload({})))), {
    uid: { type: 'axess::Workload', id: 'spiffe://example.org/billing/blue' },
    attrs: {
      workload_id: 'spiffe://example.org/billing/blue',
      trust_domain: 'example.org',
      issuer: 'k8s',
      tenant_id: TENANT,
      tenant_slug: 'blue',
      service_name: 'billing'
    },
    parents: []
  })
})

test('the Cedar entity of a human', () => {
  const fields = { userId: OTHER_TENANT, tenantId: TENANT }
  assert.deepEqual({ ...toCedarEntity(new HumanPrincipal(fields)).attrs }, { user_id: OTHER_TENANT, tenant_id: TENANT })
  const entity = toCedarEntity(new HumanPrincipal({ ...fields, sessionId: TENANT }))
  assert.deepEqual({ ...entity.attrs }, { user_id: OTHER_TENANT, tenant_id: TENANT, session_id: TENANT })
  assert.deepEqual(entity.uid, { type: 'axess::Human', id: OTHER_TENANT })
})

test('attributes: integers are longs, what Cedar has no kind for is a string of JSON', () => {
  const { attrs } = toCedarEntity(
    workload({
      text: 'x',
      yes: true,
      int: -5,
      beyond: 2n ** 64n - 1n,
      float: 1.5,
      huge: 1e300,
      nothing: null,
      list: [1, 'a', 2n ** 60n],
      object: { b: 1, a: { c: null } }
    })
  )
  const { workload_id, trust_domain, issuer, tenant_id, tenant_slug, service_name, ...rest } = attrs
  assert.deepEqual(rest, {
    text: 'x',
    yes: true,
    int: -5,
    beyond: '18446744073709551615',
    float: '1.5',
    huge: '1e+300',
    nothing: 'null',
    list: '[1,"a",1152921504606846976]',
    object: '{"a":{"c":null},"b":1}'
  })
})

test('a long that a number cannot hold is exact, or an error', () => {
  const principal = workload({ most: 2n ** 63n - 1n, least: -(2n ** 63n) })
  if (/** @type {any} */ (JSON).rawJSON)
    assert.match(JSON.stringify(toCedarEntity(principal)), /"least":-9223372036854775808,"most":9223372036854775807,/)
  else
    assert.equal(
      failing(() => toCedarEntity(principal)),
      'ARGUMENT'
    )
})

test('no attribute can take the place of what is proven', () => {
  const lie = {
    workload_id: 'spiffe://example.org/root/blue',
    issuer: 'mtls',
    tenant_id: OTHER_TENANT,
    user_id: 'root',
    kind: 'human',
    __proto__: null
  }
  const { attrs } = toCedarEntity(workload(lie))
  assert.deepEqual(
    [attrs.workload_id, attrs.issuer, attrs.tenant_id],
    ['spiffe://example.org/billing/blue', 'k8s', TENANT]
  )
  const map = toAttributeMap(workload(lie))
  assert.deepEqual(
    [map.kind, map.workload_id, map.issuer, map.tenant_id, map.user_id],
    ['workload', 'spiffe://example.org/billing/blue', 'k8s', TENANT, undefined]
  )
  const human = toCedarEntity(
    new HumanPrincipal({ userId: OTHER_TENANT, tenantId: TENANT, attributes: { user_id: TENANT } })
  )
  assert.equal(human.attrs.user_id, OTHER_TENANT)
  const named = toCedarEntity(workload(JSON.parse('{"__proto__":"x"}')))
  assert.ok(Object.hasOwn(named.attrs, '__proto__'))
})

test('a plain map for OPA', () => {
  assert.equal(
    JSON.stringify({ input: { principal: toAttributeMap(workload({ zone: 'b', nested: { a: [1] } })) } }),
    '{"input":{"principal":{"kind":"workload","workload_id":"spiffe://example.org/billing/blue",' +
      `"trust_domain":"example.org","issuer":"k8s","tenant_id":"${TENANT}","tenant_slug":"blue",` +
      '"service_name":"billing","attributes":{"nested":{"a":[1]},"zone":"b"}}}}'
  )
  const large = workload({ n: 2n ** 60n })
  if (/** @type {any} */ (JSON).rawJSON) assert.match(JSON.stringify(toAttributeMap(large)), /"n":1152921504606846976/)
  else
    assert.equal(
      failing(() => toAttributeMap(large)),
      'ARGUMENT'
    )
})

test('nothing but a principal', () => {
  for (const value of [undefined, null, {}, { kind: 'human' }, workload({}).toJSON()]) {
    for (const call of [toCedarEntity, toAttributeMap])
      assert.equal(
        failing(() => call(/** @type {any} */ (value))),
        'ARGUMENT'
      )
  }
})
