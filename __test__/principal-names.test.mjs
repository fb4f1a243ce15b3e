// Names of trust domains, workloads and issuers: the kinds and reasons of errors, in the order of the rules.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { SpiffeId, TrustDomain as SpiffeTrustDomain } from 'countersign'
import { Issuer, TrustDomain, WorkloadId } from 'countersign/principal'
import { detailsOf } from './support/outcome.mjs'

/** @param {() => unknown} call */
function failing(call) {
  try {
    return call()
  } catch (caught) {
    const error = detailsOf(caught)
    return [error.code.replace('ERR_INVALID_', ''), error.component, error.reason].filter(Boolean).join(' ')
  }
}

test('trust domains', () => {
  for (const name of ['a', '0', 'example.org', 'a..b', 'a-', 'a.', '10.0.0.1', 'a'.repeat(255)]) {
    assert.equal(TrustDomain.parse(name), name)
    assert.ok(TrustDomain.is(name))
  }
  for (const [name, reason] of [
    ['', 'empty'],
    ['a'.repeat(256), 'trust_domain_too_long'],
    ['.a', 'bad_first_char'],
    ['_a', 'bad_first_char'],
    ['ä', 'bad_first_char'],
    ['A', 'bad_trust_domain_char'],
    ['a_b', 'bad_trust_domain_char'],
    ['a/b', 'bad_trust_domain_char'],
    ['a:1', 'bad_trust_domain_char'],
    ['a ', 'bad_trust_domain_char']
  ]) {
    assert.equal(
      failing(() => TrustDomain.parse(name)),
      `TRUST_DOMAIN ${reason}`,
      name
    )
    assert.equal(TrustDomain.is(name), false)
  }
  assert.equal(TrustDomain.parse(SpiffeTrustDomain.parse('Example.ORG')), 'example.org')
  assert.equal(
    failing(() => TrustDomain.parse(SpiffeTrustDomain.parse('a_b'))),
    'TRUST_DOMAIN bad_trust_domain_char'
  )
  for (const value of [undefined, null, 5, {}])
    assert.equal(
      // @ts-expect-error: the argument has a wrong type
      failing(() => TrustDomain.parse(value)),
      'ARGUMENT'
    )
})

test('workload IDs', () => {
  for (const id of ['spiffe://td', 'spiffe://td/a/b', 'spiffe://td/A-z_0.~', 'spiffe://td/...', 'spiffe://td/..b']) {
    assert.equal(WorkloadId.parse(id), id)
    assert.ok(WorkloadId.is(id))
    assert.equal(WorkloadId.trustDomain(id), 'td')
  }
  for (const [id, told] of [
    ['x'.repeat(2049), 'SPIFFE_ID too_long'],
    ['', 'SPIFFE_ID wrong_scheme'],
    ['SPIFFE://td', 'SPIFFE_ID wrong_scheme'],
    ['https://td', 'SPIFFE_ID wrong_scheme'],
    ['spiffe://u@td?x', 'SPIFFE_ID query_or_fragment'],
    ['spiffe://td/a#b', 'SPIFFE_ID query_or_fragment'],
    ['spiffe://u@td/a', 'SPIFFE_ID user_info'],
    ['spiffe://td:8443/a', 'SPIFFE_ID port'],
    ['spiffe:///a', 'SPIFFE_ID missing_trust_domain'],
    ['spiffe://TD/a', 'SPIFFE_ID bad_trust_domain_char'],
    [`spiffe://${'a'.repeat(256)}`, 'SPIFFE_ID trust_domain_too_long'],
    ['spiffe://-td', 'SPIFFE_ID bad_first_char'],
    ['spiffe://td/', 'COMPONENT path segment empty_segment'],
    ['spiffe://td/../a', 'COMPONENT path segment dot_segment'],
    ['spiffe://td/a%2e', 'COMPONENT path segment bad_path_segment_char']
  ]) {
    assert.equal(
      failing(() => WorkloadId.parse(id)),
      told,
      id
    )
    assert.equal(WorkloadId.is(id), false)
  }
  assert.throws(() => WorkloadId.parse('x'), { message: /^invalid SPIFFE identifier: / })
  assert.equal(WorkloadId.parse(SpiffeId.parse('SPIFFE://Td/A')), 'spiffe://td/A')
  for (const value of [undefined, null, 5, {}])
    assert.equal(
      // @ts-expect-error: the argument has a wrong type
      failing(() => WorkloadId.parse(value)),
      'ARGUMENT'
    )
})

test('strict: what SPIFFE refuses is refused too', () => {
  assert.equal(WorkloadId.parse('spiffe://td/~a'), 'spiffe://td/~a')
  assert.equal(
    failing(() => WorkloadId.parse('spiffe://td/~a', { strict: true })),
    'COMPONENT path segment bad_path_segment_char'
  )
  assert.equal(WorkloadId.parse('spiffe://td/a', { strict: true }), 'spiffe://td/a')
  assert.equal(
    // @ts-expect-error: there is no such option
    failing(() => WorkloadId.parse('spiffe://td/a', { strickt: true })),
    'ARGUMENT'
  )
  assert.equal(
    // @ts-expect-error: the argument has a wrong type
    failing(() => WorkloadId.parse('spiffe://td/a', { strict: 'yes' })),
    'ARGUMENT'
  )
})

test('built IDs', () => {
  assert.equal(
    WorkloadId.build('gnomes.local', 'market-worker', 'world_cup'),
    'spiffe://gnomes.local/market-worker/world_cup'
  )
  assert.equal(
    failing(() => WorkloadId.build('gnomes.local', '', '..')),
    'COMPONENT service empty_segment'
  )
  assert.equal(
    failing(() => WorkloadId.build('gnomes.local', 'a', '..')),
    'COMPONENT tenant_slug dot_segment'
  )
  assert.equal(
    failing(() => WorkloadId.build('Gnomes', 'a', 'b')),
    'TRUST_DOMAIN bad_trust_domain_char'
  )
  assert.equal(
    failing(() => WorkloadId.build('td', 'a', 'b'.repeat(2048))),
    'SPIFFE_ID too_long'
  )
  assert.equal(
    // @ts-expect-error: the argument has a wrong type
    failing(() => WorkloadId.build('td', undefined, 'b')),
    'ARGUMENT'
  )
})

test('issuers', () => {
  assert.deepEqual([Issuer.cli, Issuer.jwtSvid, Issuer.mtls, Issuer.oauth].map(String), [
    'cli',
    'jwt_svid',
    'mtls',
    'oauth'
  ])
  assert.equal(
    JSON.stringify([Issuer.oauth, Issuer.custom('k8s')]),
    '[{"kind":"oauth"},{"kind":"custom","label":"k8s"}]'
  )
  assert.equal(inspect(Issuer.custom('k8s')), 'Issuer(k8s)')
  assert.ok(
    Issuer.custom('k8s').equals(Issuer.custom('k8s')) && !Issuer.cli.equals(Issuer.mtls) && !Issuer.cli.equals('cli')
  )
  assert.ok(Issuer.is(Issuer.cli) && !Issuer.is({ kind: 'cli' }) && Object.isFrozen(Issuer.cli))
  for (const label of ['cli', 'jwt_svid', 'mtls', 'oauth'])
    assert.equal(
      failing(() => Issuer.custom(label)),
      'COMPONENT label reserved_label'
    )
  for (const label of ['', 'a'.repeat(33)])
    assert.equal(
      failing(() => Issuer.custom(label)),
      'COMPONENT label label_length'
    )
  for (const label of ['A', 'a-b', 'a b', 'ä'])
    assert.equal(
      failing(() => Issuer.custom(label)),
      'COMPONENT label bad_label_char'
    )
  for (const label of ['o_auth', 'custom', 'spire', '_', '0', 'a'.repeat(32)])
    assert.equal(Issuer.custom(label).label, label)
  assert.throws(() => new /** @type {any} */ (Issuer.cli.constructor)('cli'), { code: 'ERR_INVALID_ARGUMENT' })
})
