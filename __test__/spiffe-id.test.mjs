// Names: every rule of SPIFFE-ID 2, and that the short way to a SpiffeId never accepts what the core would not.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { countersign, failing } from './support/spiffe-scene.mjs'

const { SpiffeId, TrustDomain } = countersign
const { native } = createRequire(import.meta.url)('../lib/native/load')

/** @param {string} text */
const refused = (text) => failing(() => SpiffeId.parse(text)).replace('ERR_INVALID_SPIFFE_ID ', '')
/** @param {Record<string, string>} table */
function each(table) {
  for (const [text, verdict] of Object.entries(table)) {
    const found = refused(text)
    assert.equal(found === 'accepted' ? SpiffeId.parse(text).uri : found, verdict, JSON.stringify(text.slice(0, 80)))
  }
}

test('rule 1.1: scheme and trust domain in any case, the path in its own', () => {
  each({
    'spiffe://example.org/Billing': 'spiffe://example.org/Billing',
    'SPIFFE://Example.ORG/Billing': 'spiffe://example.org/Billing',
    'https://example.org/a': 'wrong_scheme',
    'spiffe:/example.org': 'wrong_scheme',
    'xspiffe://example.org': 'wrong_scheme',
    ' spiffe://example.org': 'wrong_scheme'
  })
})

test('rule 1.2: a trust domain is there, of letters, digits, dot, dash and underscore', () => {
  each({
    'spiffe://': 'missing_trust_domain',
    'spiffe:///a': 'missing_trust_domain',
    'spiffe://a_b-c.9/x': 'spiffe://a_b-c.9/x',
    'spiffe://exämple.org': 'bad_trust_domain_char',
    'spiffe://ex\u0000ample.org': 'bad_trust_domain_char',
    'spiffe://\u212Aelvin': 'bad_trust_domain_char'
  })
})

test('rule 1.3: no user, port, percent-encoding or IPv6 literal; IPv4 is a name', () => {
  each({
    'spiffe://user@example.org': 'bad_trust_domain_char',
    'spiffe://example.org:443': 'bad_trust_domain_char',
    'spiffe://example.org:': 'bad_trust_domain_char',
    'spiffe://ex%61mple.org': 'bad_trust_domain_char',
    'spiffe://[::1]/a': 'bad_trust_domain_char',
    'spiffe://10.0.0.1/a': 'spiffe://10.0.0.1/a'
  })
})

test('rule 1.4: shapes that DNS refuses are legal', () => {
  for (const name of ['example..org', '.example.org', 'example.org.', '-example.org', '..', '_']) {
    assert.equal(SpiffeId.parse(`spiffe://${name}/a`).trustDomain.name, name)
  }
})

test('rule 1.5: the path is empty, or segments without dots, gaps and a slash at the end', () => {
  each({
    'spiffe://example.org': 'spiffe://example.org',
    'spiffe://example.org/': 'trailing_slash',
    'spiffe://example.org/a/': 'trailing_slash',
    'spiffe://example.org//a': 'empty_segment',
    'spiffe://example.org/a//b': 'empty_segment',
    'spiffe://example.org/.': 'dot_segment',
    'spiffe://example.org/a/../b': 'dot_segment',
    'spiffe://example.org/a/..': 'dot_segment',
    'spiffe://example.org/a b': 'bad_path_segment_char',
    'spiffe://example.org/%61': 'bad_path_segment_char',
    'spiffe://example.org/a\n': 'bad_path_segment_char',
    'spiffe://example.org/\ud800': 'bad_path_segment_char'
  })
  const id = SpiffeId.parse('spiffe://example.org/a')
  assert.equal(
    failing(() => id.appendPath('b')),
    'ERR_INVALID_SPIFFE_ID missing_leading_slash'
  )
  assert.equal(
    failing(() => id.appendSegments([''])),
    'ERR_INVALID_SPIFFE_ID empty_segment'
  )
  assert.equal(
    failing(() => id.appendSegments(['a/b'])),
    'ERR_INVALID_SPIFFE_ID bad_path_segment_char'
  )
  assert.equal(
    failing(() => SpiffeId.fromSegments('example.org', ['..'])),
    'ERR_INVALID_SPIFFE_ID dot_segment'
  )
})

test('rule 1.6: names of dots that lead nowhere are legal', () => {
  for (const path of ['/...', '/.path', '/..path', '/a/...', '/a..'])
    assert.equal(SpiffeId.parse(`spiffe://example.org${path}`).path, path)
})

test('rule 1.7: no query, no fragment', () => {
  each({
    'spiffe://example.org?a': 'bad_trust_domain_char',
    'spiffe://example.org#a': 'bad_trust_domain_char',
    'spiffe://example.org/a?b': 'bad_path_segment_char',
    'spiffe://example.org/a#b': 'bad_path_segment_char'
  })
})

test('rule 1.8: nothing is no name', () => {
  each({ '': 'empty' })
  assert.equal(
    failing(() => TrustDomain.parse('')),
    'ERR_INVALID_TRUST_DOMAIN empty'
  )
  for (const value of [undefined, null, 1, {}, ['spiffe://example.org'], new String('spiffe://example.org')]) {
    assert.match(
      failing(() => SpiffeId.parse(/** @type {any} */ (value))),
      /^ERR_INVALID_ARGUMENT/
    )
  }
})

test('rule 1.9: 2048 bytes and no more, read or made', () => {
  const fits = `spiffe://example.org/${'a'.repeat(2027)}`
  assert.equal(fits.length, 2048)
  assert.equal(SpiffeId.parse(fits).uri, fits)
  each({ [`${fits}a`]: 'too_long', [`spiffe://example.org/${'a'.repeat(1e7)}`]: 'too_long' })
  assert.equal(
    failing(() => SpiffeId.parse(fits).appendPath('/a')),
    'ERR_INVALID_SPIFFE_ID too_long'
  )
  assert.equal(
    failing(() => SpiffeId.fromSegments('example.org', ['a'.repeat(2028)])),
    'ERR_INVALID_SPIFFE_ID too_long'
  )
})

test('rule 1.10: a trust domain of 255 bytes and no more', () => {
  each({
    [`spiffe://${'a'.repeat(255)}/b`]: `spiffe://${'a'.repeat(255)}/b`,
    [`spiffe://${'a'.repeat(256)}/b`]: 'trust_domain_too_long'
  })
  assert.equal(
    failing(() => TrustDomain.parse('a'.repeat(256))),
    'ERR_INVALID_TRUST_DOMAIN trust_domain_too_long'
  )
})

test('rule 1.11: a trust domain from its name, its own ID, and any ID in it', () => {
  for (const text of ['example.org', 'Example.ORG', 'spiffe://example.org', 'SPIFFE://example.org/a/b'])
    assert.equal(TrustDomain.parse(text).name, 'example.org')
  assert.equal(
    failing(() => TrustDomain.parse('example.org/a')),
    'ERR_INVALID_TRUST_DOMAIN bad_trust_domain_char'
  )
  assert.equal(
    failing(() => TrustDomain.parse('https://example.org')),
    'ERR_INVALID_TRUST_DOMAIN wrong_scheme'
  )
})

test('rule 1.12: the own ID of a trust domain has no path', () => {
  const own = TrustDomain.parse('example.org').id
  assert.equal(own.uri, 'spiffe://example.org')
  assert.equal(own.path, '')
  assert.deepEqual(own.segments, [])
})

test('names are made, taken apart, compared and written', () => {
  const id = SpiffeId.fromSegments('Example.org', new Set(['shop', 'web']))
  assert.equal(`${id}`, 'spiffe://example.org/shop/web')
  assert.deepEqual(id.segments, ['shop', 'web'])
  assert.equal(id.appendPath('/a/b').path, '/shop/web/a/b')
  assert.equal(id.appendPath('').uri, id.uri)
  assert.equal(id.appendSegments(['x']).path, '/shop/web/x')
  assert.equal(id.replacePath('/z').uri, 'spiffe://example.org/z')
  assert.equal(id.replacePath('').uri, 'spiffe://example.org')
  assert.ok(
    id.equals('SPIFFE://Example.org/shop/web') &&
      id.equals(SpiffeId.parse(id.uri)) &&
      !id.equals('spiffe://example.org/shop/Web') &&
      !id.equals('?') &&
      !id.equals(null)
  )
  assert.ok(
    !id.equals(id.replacePath('/other')) &&
      !id.trustDomain.equals('other.org') &&
      !id.trustDomain.equals('?') &&
      id.trustDomain.equals('spiffe://EXAMPLE.org/a') &&
      !id.trustDomain.equals(id)
  )
  assert.ok(
    id.memberOf('example.org') &&
      id.memberOf(id) &&
      !id.memberOf('example.org.') &&
      !id.memberOf(TrustDomain.parse('org'))
  )
  assert.equal(JSON.stringify({ id, of: id.trustDomain }), '{"id":"spiffe://example.org/shop/web","of":"example.org"}')
  assert.equal(inspect([id, id.trustDomain]), '[ SpiffeId(spiffe://example.org/shop/web), TrustDomain(example.org) ]')
  assert.notDeepEqual(id, SpiffeId.parse('spiffe://example.org/other'))
  assert.ok(Object.isFrozen(id) && Object.isFrozen(id.trustDomain))
  assert.throws(() => {
    // @ts-expect-error: the property is read-only
    id.uri = 'spiffe://evil'
  }, TypeError)
  assert.match(
    // @ts-expect-error: the constructor is private
    failing(() => new SpiffeId('spiffe://evil')),
    /^ERR_INVALID_ARGUMENT/
  )
  assert.match(
    // @ts-expect-error: the constructor is private
    failing(() => new TrustDomain('evil')),
    /^ERR_INVALID_ARGUMENT/
  )
  assert.match(
    failing(() => id.appendSegments('ab')),
    /^ERR_INVALID_ARGUMENT/
  )
  assert.match(
    // @ts-expect-error: the argument has a wrong type
    failing(() => id.appendSegments(5)),
    /^ERR_INVALID_ARGUMENT/
  )
})

test('the short way agrees with the core on generated and mutated texts', () => {
  let state = 20240607
  const random = (/** @type {number} */ below) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
  const alphabet = [
    'a',
    'Z',
    '0',
    '.',
    '-',
    '_',
    '/',
    '/',
    '.',
    '..',
    ':',
    '@',
    '%',
    '?',
    '#',
    ' ',
    '\n',
    'é',
    '\u212a',
    '\ud800',
    '\0',
    'spiffe://',
    '[',
    '\\'
  ]
  const seeds = [
    'spiffe://example.org/a/b',
    'spiffe://a',
    'spiffe://-..-/..a/.b',
    `spiffe://${'d'.repeat(254)}/x`,
    `spiffe://x/${'p'.repeat(2035)}`,
    'SPIFFE://A/b'
  ]
  const counts = { accepted: 0, refused: 0 }
  for (let round = 0; round < 40000; round++) {
    let text = seeds[random(seeds.length)]
    for (let change = random(4); change > 0; change--) {
      const at = random(text.length + 1)
      text = text.slice(0, at) + (random(3) ? alphabet[random(alphabet.length)] : '') + text.slice(at + random(3))
    }
    const truth = native.spiffeId(text)
    const ours = failing(() => SpiffeId.parse(text))
    if (typeof truth === 'object') {
      counts.refused++
      assert.equal(ours, `ERR_INVALID_SPIFFE_ID ${truth.failure.reason}`, JSON.stringify(text))
    } else {
      counts.accepted++
      assert.equal(ours, 'accepted', JSON.stringify(text))
      assert.equal(SpiffeId.parse(text).uri, truth)
      assert.equal(`spiffe://${SpiffeId.parse(text).trustDomain.name}${SpiffeId.parse(text).path}`, truth)
    }
  }
  assert.ok(counts.accepted > 5000 && counts.refused > 5000, JSON.stringify(counts))
})
