// Principals: what they are made of, and the JSON they are written and read as.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  HumanPrincipal,
  Issuer,
  Principal,
  SessionId,
  TenantId,
  UserId,
  WorkloadPrincipal,
  principalOf
} from 'countersign/principal'
import { SpiffeId } from 'countersign'
import { detailsOf } from './support/outcome.mjs'

const T = '9a36b1fe-3cf2-4ba5-8846-e1476509c712'
const U = '3f2c1a64-9c41-4d5e-8b57-0f6a3b1c2d3e'
const S = '7c1f0c1e-5c57-4b0e-9a53-2f4a1f5e9b10'
const workloadJson = {
  kind: 'workload',
  workload_id: 'spiffe://gnomes.local/market-worker/world_cup',
  trust_domain: 'gnomes.local',
  issuer: { kind: 'cli' },
  tenant_id: T,
  tenant_slug: 'world_cup',
  service_name: 'market-worker',
  attributes: {}
}
const humanJson = { kind: 'human', user_id: U, tenant_id: T, session_id: S, attributes: {} }
const fields = {
  trustDomain: 'gnomes.local',
  issuer: Issuer.cli,
  tenantId: T,
  tenantSlug: 'world_cup',
  serviceName: 'market-worker'
}

/** @param {() => unknown} call @returns {any} */
function failing(call) {
  try {
    call()
  } catch (caught) {
    const error = detailsOf(caught)
    return [error.code.replace('ERR_INVALID_', ''), error.rule ?? error.reason, error.member ?? error.component]
      .filter(Boolean)
      .join(' ')
  }
  return 'accepted'
}
/** @param {unknown} value */
const read = (value) => failing(() => Principal.parse(typeof value === 'string' ? value : JSON.stringify(value)))

test('a workload is written as the crate writes it', () => {
  const principal = new WorkloadPrincipal(fields)
  const text =
    '{"kind":"workload","workload_id":"spiffe://gnomes.local/market-worker/world_cup",' +
    `"trust_domain":"gnomes.local","issuer":{"kind":"cli"},"tenant_id":"${T}","tenant_slug":"world_cup",` +
    '"service_name":"market-worker","attributes":{}}'
  assert.equal(principal.toWire(), text)
  assert.equal(JSON.stringify(principal), text)
  assert.equal(String(principal), 'spiffe://gnomes.local/market-worker/world_cup')
  const back = Principal.parse(text)
  assert.ok(back instanceof WorkloadPrincipal && back.kind === 'workload')
  assert.deepEqual(back, principal)
  assert.ok(back.equals(principal) && !back.equals(text))
  assert.equal(back.issuer, Issuer.cli)
  assert.deepEqual(
    [back.workloadId, back.trustDomain, back.tenantId, back.tenantSlug, back.serviceName],
    [workloadJson.workload_id, 'gnomes.local', T, 'world_cup', 'market-worker']
  )
})

test('a human is written as the crate writes it, and its session is shown nowhere else', () => {
  const principal = new HumanPrincipal({ userId: U.toUpperCase(), tenantId: `{${T}}`, sessionId: S })
  assert.equal(principal.toWire(), JSON.stringify(humanJson))
  assert.equal(JSON.stringify(principal), JSON.stringify(humanJson))
  assert.equal(String(principal), U)
  assert.equal(principal.sessionId, S)
  const shown = inspect(principal) + inspect({ deep: [principal] }, { depth: 9, showHidden: true }) + String(principal)
  assert.ok(!shown.includes(S) && shown.includes('[redacted]') && shown.startsWith('HumanPrincipal {'), shown)
  const without = new HumanPrincipal({ userId: U, tenantId: T })
  assert.equal(without.sessionId, undefined)
  assert.match(without.toWire(), /"session_id":null/)
  assert.ok(!inspect(without).includes('redacted'))
  assert.equal(Principal.parse(JSON.stringify({ ...humanJson, session_id: undefined })).toWire(), without.toWire())
})

test('principals are frozen, all the way down', () => {
  for (const principal of [
    new HumanPrincipal({ userId: U, tenantId: T, attributes: { a: { b: [{ c: 1 }] } } }),
    new WorkloadPrincipal({ ...fields, attributes: { a: { b: [{ c: 1 }] } } })
  ]) {
    const { attributes } = /** @type {any} */ (principal)
    for (const value of [principal, attributes, attributes.a, attributes.a.b, attributes.a.b[0]])
      assert.ok(Object.isFrozen(value))
    for (const value of [attributes, attributes.a]) assert.equal(Object.getPrototypeOf(value), null)
    assert.throws(() => {
      // @ts-expect-error: the property is read-only
      principal.tenantId = 'x'
    }, TypeError)
  }
})

test('attributes are sorted and exact', () => {
  const attributes = {
    z: 1,
    a: { 10: 1, 9: 2, b: null, a: [1.5, -0.1, 0.1 + 0.2, 1e21, 5e-324, 2n ** 64n - 1n, -(2n ** 63n)] },
    ä: 'ö\u2028\u0001"\\',
    '🦊': true,
    '\uffff': 0
  }
  const text = new WorkloadPrincipal({ ...fields, attributes }).toWire()
  assert.ok(
    text.endsWith(
      '"attributes":{"a":{"10":1,"9":2,' +
        '"a":[1.5,-0.1,0.30000000000000004,1e+21,5e-324,18446744073709551615,-9223372036854775808],"b":null},' +
        '"z":1,"ä":"ö\u2028\\u0001\\"\\\\","\uffff":0,"🦊":true}}'
    ),
    text
  )
  const back = /** @type {any} */ (Principal.parse(text))
  assert.equal(back.toWire(), text)
  assert.equal(back.attributes.a.a[5], 2n ** 64n - 1n)
  assert.equal(back.attributes.a.a[6], -(2n ** 63n))
  assert.equal(back.attributes.a.a[2], 0.1 + 0.2)
  // What was read can be written again, bigints and all.
  assert.ok(new WorkloadPrincipal({ ...back }).equals(back))
  if (/** @type {any} */ (JSON).rawJSON) assert.ok(JSON.stringify(back).includes('18446744073709551615'))
  else assert.throws(() => JSON.stringify(back), { code: 'ERR_INVALID_ARGUMENT', message: /principal\.toWire\(\)/ })
  const small = new WorkloadPrincipal({ ...fields, attributes: { n: 2n ** 53n - 1n, m: 9007199254740992n } })
  assert.deepEqual([small.attributes.n, small.attributes.m], [9007199254740991, 9007199254740992n])
})

test('random numbers survive, to the last bit', () => {
  for (let round = 0; round < 4000; round++) {
    let number = new Float64Array(crypto.getRandomValues(new Uint8Array(8)).buffer)[0]
    if (!Number.isFinite(number) || round % 2) number = (Math.random() - 0.5) * 2 ** (round % 80)
    const { attributes } = Principal.parse(
      new HumanPrincipal({ userId: U, tenantId: T, attributes: { number } }).toWire()
    )
    assert.equal(attributes.number, Object.is(number, -0) ? 0 : number)
  }
})

test('names that are dangerous in JavaScript are only names', () => {
  const text = JSON.stringify(humanJson).replace(
    '{}',
    '{"__proto__":{"polluted":18446744073709551615},"constructor":1,"toString":2}'
  )
  const { attributes } = /** @type {any} */ (Principal.parse(text))
  assert.equal(/** @type {any} */ ({}).polluted, undefined)
  assert.deepEqual(Object.keys(attributes).sort(), ['__proto__', 'constructor', 'toString'])
  assert.equal(Object.getOwnPropertyDescriptor(attributes, '__proto__')?.value.polluted, 2n ** 64n - 1n)
  assert.equal(Principal.parse(text).toWire(), text)
})

test('what cannot be written as JSON is refused, and nothing is lost', () => {
  const cycle = /** @type {any} */ ({})
  cycle.cycle = cycle
  const deep = JSON.parse(`${'['.repeat(200)}1${']'.repeat(200)}`)
  for (const attributes of [{ x: NaN }, { x: Infinity }, { x: { y: [-Infinity] } }, cycle, 'x', 5, null, [1]]) {
    assert.equal(
      failing(() => new HumanPrincipal({ userId: U, tenantId: T, attributes: /** @type {any} */ (attributes) })),
      'ARGUMENT',
      inspect(attributes)
    )
  }
  assert.equal(
    failing(() => new HumanPrincipal({ userId: U, tenantId: T, attributes: { deep } })),
    'PRINCIPAL malformed_json'
  )
  assert.equal(
    failing(() => new HumanPrincipal({ userId: U, tenantId: T, attributes: { x: '\ud800' } })),
    'PRINCIPAL malformed_json'
  )
  assert.equal(
    failing(() => new HumanPrincipal({ userId: U, tenantId: T, attributes: { x: 2n ** 64n } })),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => new HumanPrincipal({ userId: U, tenantId: T, attributes: { x: 'x'.repeat(1 << 20) } })),
    'PRINCIPAL too_large'
  )
})

test('fields of a constructor are judged, and misspelt ones too', () => {
  const human = (/** @type {any} */ changes) =>
    failing(() => new HumanPrincipal({ userId: U, tenantId: T, ...changes }))
  assert.equal(human({ userId: 'root' }), 'ID not_a_uuid')
  assert.equal(human({ tenantId: '' }), 'ID empty')
  assert.equal(human({ sessionId: 'x' }), 'ID not_a_uuid')
  assert.equal(human({ userId: undefined }), 'ARGUMENT')
  assert.equal(human({ tenant: T }), 'ARGUMENT')
  assert.equal(human({ kind: 'workload' }), 'ARGUMENT')
  const workload = (/** @type {any} */ changes) => failing(() => new WorkloadPrincipal({ ...fields, ...changes }))
  assert.equal(workload({ serviceName: 'a/b' }), 'COMPONENT bad_path_segment_char service')
  assert.equal(workload({ tenantSlug: '' }), 'COMPONENT empty_segment tenant_slug')
  assert.equal(workload({ trustDomain: 'Gnomes' }), 'TRUST_DOMAIN bad_trust_domain_char')
  assert.equal(workload({ trustDomain: undefined }), 'ARGUMENT')
  assert.equal(workload({ workloadId: 'spiffe://other.org/a' }), 'SPIFFE_ID trust_domain_mismatch')
  assert.equal(workload({ workloadId: 'spiffe://gnomes.local/ns/x/sa/y' }), 'accepted')
  assert.equal(workload({ issuer: { kind: 'cli' } }), 'ARGUMENT')
  assert.equal(workload({ issuer: 'cli' }), 'ARGUMENT')
  assert.equal(workload({ tenantSlug: 5 }), 'ARGUMENT')
  for (const nothing of [undefined, null, 5, 'x', []])
    assert.equal(
      failing(() => new WorkloadPrincipal(/** @type {any} */ (nothing))),
      'ARGUMENT'
    )
})

test('documents of others are judged', () => {
  assert.equal(read(workloadJson), 'accepted')
  assert.equal(read({ ...workloadJson, kind: 'Workload' }), 'PRINCIPAL unknown_kind')
  assert.equal(read({ ...workloadJson, issuer: { kind: 'spire' } }), 'PRINCIPAL unknown_issuer')
  assert.equal(read({ ...workloadJson, issuer: { kind: 'custom', label: 'cli' } }), 'COMPONENT reserved_label label')
  assert.equal(read({ ...workloadJson, workload_id: 'https://evil/x' }), 'SPIFFE_ID wrong_scheme')
  assert.equal(read({ ...workloadJson, trust_domain: 'UPPER Case' }), 'TRUST_DOMAIN bad_trust_domain_char')
  assert.equal(read({ ...workloadJson, attributes: undefined }), 'PRINCIPAL missing_member attributes')
  assert.equal(read({ ...workloadJson, attributes: null }), 'PRINCIPAL wrong_type attributes')
  assert.equal(read({ ...humanJson, user_id: 'x' }), 'ID not_a_uuid')
  assert.equal(read({ ...humanJson, extra: { any: 'thing' } }), 'accepted')
  assert.equal(read(JSON.stringify(humanJson).replace('{', '{"user_id":"x",')), 'PRINCIPAL duplicate_member')
  assert.equal(read(JSON.stringify(humanJson).replace('{}', '{"a":1,"a":1}')), 'PRINCIPAL duplicate_member')
  for (const text of ['', 'null', '[]', '{', '5', '"x"', `[${JSON.stringify(humanJson)}]`, '\ufeff{}', '['.repeat(1e5)])
    assert.equal(read(text), 'PRINCIPAL malformed_json', text.slice(0, 9))
  assert.equal(read(`{"kind":"human","pad":"${'x'.repeat(1 << 20)}"}`), 'PRINCIPAL too_large')
  for (const value of [undefined, null, 5, {}, Buffer.from('{}')])
    assert.equal(
      failing(() => Principal.parse(/** @type {any} */ (value))),
      'ARGUMENT'
    )
})

test('what releases before 0.10 wrote for an OAuth issuer is read', () => {
  const principal = /** @type {WorkloadPrincipal} */ (
    Principal.parse(JSON.stringify({ ...workloadJson, issuer: { kind: 'o_auth' } }))
  )
  assert.equal(principal.issuer, Issuer.oauth)
  assert.match(principal.toWire(), /"issuer":\{"kind":"oauth"\}/)
  const custom = /** @type {WorkloadPrincipal} */ (
    Principal.parse(JSON.stringify({ ...workloadJson, issuer: { label: 'k8s', kind: 'custom' } }))
  )
  assert.equal(String(custom.issuer), 'k8s')
  assert.equal(JSON.stringify(custom.toJSON().issuer), '{"kind":"custom","label":"k8s"}')
})

test('strict: fields agree, and SPIFFE takes the ID', () => {
  const other = { ...workloadJson, trust_domain: 'other.org' }
  assert.equal(read(other), 'accepted')
  assert.equal(
    failing(() => Principal.parse(JSON.stringify(other), { strict: true })),
    'TRUST_DOMAIN trust_domain_mismatch'
  )
  assert.equal(
    failing(() => Principal.from(Principal.from(other), { strict: true })),
    'TRUST_DOMAIN trust_domain_mismatch'
  )
  assert.equal(
    failing(() => Principal.from(workloadJson, { strict: true })),
    'accepted'
  )
  assert.equal(
    failing(() => Principal.parse('{}', /** @type {any} */ ({ strict: 1 }))),
    'ARGUMENT'
  )
})

test('from takes a principal, JSON, and text', () => {
  const principal = new WorkloadPrincipal(fields)
  assert.equal(Principal.from(principal), principal)
  assert.ok(Principal.from(workloadJson).equals(principal))
  assert.ok(Principal.from(principal.toWire()).equals(principal))
  assert.ok(Principal.is(principal) && !Principal.is(workloadJson) && !Principal.is(undefined))
  const cycle = /** @type {any} */ ({})
  cycle.cycle = cycle
  for (const value of [undefined, null, 5, cycle])
    assert.equal(
      failing(() => Principal.from(/** @type {any} */ (value))),
      'ARGUMENT'
    )
})

test('the principal of a proven SPIFFE ID', () => {
  const options = { issuer: Issuer.mtls, tenantId: T }
  const principal = principalOf(SpiffeId.parse('spiffe://Example.org/billing/blue'), {
    ...options,
    trustDomain: 'example.org',
    attributes: { a: 1 }
  })
  assert.equal(
    principal.toWire(),
    '{"kind":"workload","workload_id":"spiffe://example.org/billing/blue","trust_domain":"example.org",' +
      `"issuer":{"kind":"mtls"},"tenant_id":"${T}","tenant_slug":"blue","service_name":"billing",` +
      '"attributes":{"a":1}}'
  )
  /** @param {any} id @param {any} [changes] */
  const of = (id, changes) => failing(() => principalOf(id, { ...options, ...changes }))
  for (const id of ['spiffe://td', 'spiffe://td/a', 'spiffe://td/a/b/c'])
    assert.equal(of(id), 'SPIFFE_ID wrong_path_shape')
  assert.equal(of('spiffe://td/a/b', { trustDomain: 'example.org' }), 'SPIFFE_ID trust_domain_mismatch')
  assert.equal(of('spiffe://t_d/a/b'), 'SPIFFE_ID bad_trust_domain_char')
  assert.equal(of('td/a/b'), 'SPIFFE_ID wrong_scheme')
  assert.equal(of('spiffe://td/a/b', { tenantId: 'blue' }), 'ID not_a_uuid')
  assert.equal(of('spiffe://td/a/b', { issuer: undefined }), 'ARGUMENT')
  assert.equal(of('spiffe://td/a/b', { trust_domain: 'td' }), 'ARGUMENT')
  assert.equal(of(undefined), 'ARGUMENT')
  const split = (/** @type {SpiffeId} */ id) => ({
    serviceName: id.segments[3],
    tenantSlug: id.segments[1],
    attributes: { via: 'k8s' }
  })
  const k8s = principalOf('spiffe://td/ns/blue/sa/billing', { ...options, split })
  assert.deepEqual(
    [k8s.workloadId, k8s.serviceName, k8s.tenantSlug, k8s.attributes.via],
    ['spiffe://td/ns/blue/sa/billing', 'billing', 'blue', 'k8s']
  )
  assert.equal(of('spiffe://td/a', { split }), 'ARGUMENT')
  assert.equal(of('spiffe://td/a', { split: () => undefined }), 'ARGUMENT')
  assert.equal(of('spiffe://td/a', { split: 'x' }), 'ARGUMENT')
})

test('whoever pollutes Object.prototype changes nothing', () => {
  const polluted = /** @type {any} */ (Object.prototype)
  polluted.attributes = { admin: true }
  polluted.strict = 'x'
  polluted.sessionId = S
  try {
    assert.match(new HumanPrincipal({ userId: U, tenantId: T }).toWire(), /"session_id":null,"attributes":\{\}/)
    assert.match(principalOf('spiffe://td/a/b', { issuer: Issuer.mtls, tenantId: T }).toWire(), /"attributes":\{\}/)
  } finally {
    delete polluted.attributes
    delete polluted.strict
    delete polluted.sessionId
  }
})

test('IDs of principals are those of their kinds', () => {
  const principal = new HumanPrincipal({
    userId: UserId.random(),
    tenantId: TenantId.random(),
    sessionId: SessionId.random()
  })
  assert.ok(UserId.is(principal.userId) && TenantId.is(principal.tenantId) && SessionId.is(principal.sessionId))
})
