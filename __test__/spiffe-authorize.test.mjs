// Authorizers: what they let in, and that whatever goes wrong in them lets nobody in.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { countersign, failing } from './support/spiffe-scene.mjs'

const { authorize, SpiffeId, TrustDomain } = countersign
const id = SpiffeId.parse('spiffe://example.org/shop/web')

test('names, lists, trust domains and prefixes', () => {
  assert.equal(authorize.any()(id), true)
  assert.equal(authorize.id('SPIFFE://Example.org/shop/web')(id), true)
  assert.equal(authorize.id(id)('spiffe://example.org/shop/Web'), false)
  assert.equal(authorize.oneOf(new Set([id, 'spiffe://a/b']))(id), true)
  assert.equal(authorize.memberOf(TrustDomain.parse('example.org'))(id), true)
  assert.equal(authorize.memberOf('example.or')(id), false)
  assert.equal(authorize.memberOf('org')(id), false)
})

test('an empty list welcomes nobody', () => {
  for (const nobody of [authorize.oneOf([]), authorize.anyOf([]), authorize.allOf([])]) {
    assert.equal(nobody(id), false)
    assert.equal(nobody.description, 'nobody (the list is empty)')
  }
})

test('a prefix ends where a segment ends', () => {
  const prefix = authorize.idPrefix('spiffe://example.org/shop')
  assert.deepEqual(
    ['/shop', '/shop/web', '/shopkeeper', '/Shop', '/sho', ''].map((path) => prefix(`spiffe://example.org${path}`)),
    [true, true, false, false, false, false]
  )
  assert.equal(authorize.idPrefix('spiffe://example.org')('spiffe://example.org.evil/a'), false)
  assert.equal(authorize.idPrefix('spiffe://example.org')(id), true)
})

test('they compose', () => {
  const welcome = authorize.allOf([
    authorize.idPrefix('spiffe://example.org/shop'),
    authorize.not(authorize.id('spiffe://example.org/shop/test')),
    (/** @type {any} */ one) => one.segments.length === 2
  ])
  assert.equal(welcome(id), true)
  assert.equal(welcome('spiffe://example.org/shop/test'), false)
  assert.equal(welcome('spiffe://example.org/shop'), false)
  assert.equal(authorize.anyOf([authorize.oneOf([]), authorize.any()])(id), true)
  assert.equal(authorize.anyOf([authorize.oneOf([])])(id), false)
})

test('they say whom they welcome', () => {
  const welcome = authorize.anyOf([
    authorize.memberOf('a'),
    authorize.not(authorize.idPrefix('spiffe://b/c')),
    authorize.custom('my own', () => true),
    function mine() {
      return false
    }
  ])
  assert.equal(`${welcome}`, 'any of a member of a, not (spiffe://b/c or below), my own, the function mine')
  assert.equal(inspect(authorize.any()), 'authorize(anybody)')
  const many = authorize.oneOf(Array.from({ length: 1000 }, (_, index) => `spiffe://a/${index}`))
  assert.match(many.description, /^one of (spiffe:\/\/a\/\d+, ){8}and 992 more$/)
})

/** @type {Record<string, () => any>} */
const FAILING = {
  'a promise of true': async () => true,
  'a promise of false': async () => false,
  'a rejected promise': async () => {
    throw new Error('no')
  },
  'a thenable': () => ({ then() {} }),
  'something truthy': () => 1,
  nothing: () => {},
  'another authorizer': () => authorize.any(),
  'a throw': () => {
    throw new Error('lost the list')
  }
}
for (const [what, judge] of Object.entries(FAILING)) {
  test(`${what} from a function refuses, also below not and any`, () => {
    for (const compose of [
      (/** @type {any} */ one) => authorize.custom('it', one),
      authorize.not,
      (/** @type {any} */ one) => authorize.not(authorize.not(one)),
      (/** @type {any} */ one) => authorize.allOf([one]),
      (/** @type {any} */ one) => authorize.anyOf([one, authorize.any()])
    ]) {
      assert.equal(
        failing(() => compose(judge)(id)),
        'ERR_UNTRUSTED_SVID authorizer_failed'
      )
    }
  })
}

test('what is no authorizer is refused when it is given', () => {
  for (const wrong of [undefined, null, true, 'spiffe://example.org/a', {}, [authorize.any()]]) {
    assert.match(
      failing(() => authorize.not(/** @type {any} */ (wrong))),
      /^ERR_INVALID_ARGUMENT/
    )
    assert.match(
      failing(() => authorize.anyOf([/** @type {any} */ (wrong)])),
      /^ERR_INVALID_ARGUMENT/
    )
  }
  assert.match(
    failing(() => authorize.oneOf('spiffe://example.org/a')),
    /^ERR_INVALID_ARGUMENT/
  )
  assert.equal(
    failing(() => authorize.oneOf(['nonsense'])),
    'ERR_INVALID_SPIFFE_ID wrong_scheme'
  )
  assert.throws(() => {
    // @ts-expect-error: a member is missing
    authorize.any = () => () => true
  }, TypeError)
  assert.throws(() => {
    // @ts-expect-error: the property is read-only
    authorize.oneOf([]).description = 'everybody'
  }, TypeError)
})
