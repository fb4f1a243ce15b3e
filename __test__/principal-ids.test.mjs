// IDs that cannot be mixed up: every form that is read, and every one that is not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeviceId,
  EventId,
  SessionId,
  TenantId,
  UserId,
  defineId,
  ensureUserIdNotReserved
} from 'countersign/principal'
import { detailsOf } from './support/outcome.mjs'

const TEXT = '9a36b1fe-3cf2-4ba5-8846-e1476509c712'

/** @param {() => unknown} call */
function failing(call) {
  try {
    return call()
  } catch (caught) {
    const error = detailsOf(caught)
    return [error.code, error.kind, error.reason].filter(Boolean).join(' ')
  }
}

test('every form of a UUID reads as the same ID', () => {
  for (const form of [
    TEXT,
    TEXT.toUpperCase(),
    TEXT.replaceAll('-', ''),
    `{${TEXT}}`,
    `urn:uuid:${TEXT}`,
    `{${TEXT.toUpperCase()}}`
  ]) {
    for (const kind of [TenantId, UserId, DeviceId, SessionId, EventId]) assert.equal(kind.parse(form), TEXT, form)
  }
  for (const other of [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '018f3c1e-0000-7000-8000-000000000000'
  ]) {
    assert.equal(TenantId.parse(other), other)
  }
})

test('what is no UUID is refused under the name of the kind', () => {
  const AccountId = defineId('AccountId')
  const bad = [
    ` ${TEXT}`,
    `${TEXT}\n`,
    `{${TEXT.replaceAll('-', '')}}`,
    `urn:uuid:${TEXT.replaceAll('-', '')}`,
    TEXT.slice(1),
    `${TEXT}0`,
    TEXT.replace('1', 'g'),
    TEXT.replace('2', '２'),
    'acme',
    '0',
    '-',
    '{}',
    `{${TEXT}`,
    TEXT.replace('-', '_'),
    `${TEXT}\0`,
    '\ud800'
  ]
  for (const text of bad)
    assert.equal(
      failing(() => AccountId.parse(text)),
      'ERR_INVALID_ID AccountId not_a_uuid',
      JSON.stringify(text)
    )
  assert.equal(
    failing(() => AccountId.parse('')),
    'ERR_INVALID_ID AccountId empty'
  )
  assert.throws(() => SessionId.parse(''), { message: 'SessionId must be non-empty' })
  for (const value of [undefined, null, 5, {}, [TEXT], Symbol('x')])
    assert.equal(
      // @ts-expect-error: the argument has a wrong type
      failing(() => AccountId.parse(value)),
      'ERR_INVALID_ARGUMENT'
    )
  // An error does not repeat what might be a session.
  assert.ok(!String(/** @type {any} */ (failing(() => SessionId.parse(`${TEXT}0`)))).includes(TEXT))
})

test('is() knows the written form only', () => {
  assert.ok(TenantId.is(TEXT))
  for (const value of [TEXT.toUpperCase(), `{${TEXT}}`, '', undefined, 5, { toString: () => TEXT }])
    assert.equal(TenantId.is(value), false)
})

test('random IDs are of version 4, names of version 5', () => {
  const [one, other] = [SessionId.random(), SessionId.random()]
  assert.notEqual(one, other)
  assert.match(one, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(EventId.fromRandomBytes(new Uint8Array(16).fill(0xff)), 'ffffffff-ffff-4fff-bfff-ffffffffffff')
  // RFC 9562 A.4, and the fixtures of axess-identity's tests.
  const dns = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
  assert.equal(TenantId.fromName(dns, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2')
  assert.equal(TenantId.fromName(`{${dns.toUpperCase()}}`, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2')
  assert.notEqual(TenantId.fromName(dns, ''), TenantId.fromName(dns, 'ä'))
  assert.equal(
    failing(() => TenantId.fromName('dns', 'x')),
    'ERR_INVALID_ID namespace not_a_uuid'
  )
  assert.equal(
    failing(() => TenantId.fromName(dns, '\ud800')),
    'ERR_INVALID_ARGUMENT'
  )
  assert.equal(
    // @ts-expect-error: the argument has a wrong type
    failing(() => TenantId.fromName(dns, 5)),
    'ERR_INVALID_ARGUMENT'
  )
})

test('bytes go in and out as they are', () => {
  const bytes = TenantId.toBytes(TenantId.parse(TEXT))
  assert.deepEqual([...bytes.slice(0, 4)], [0x9a, 0x36, 0xb1, 0xfe])
  assert.equal(UserId.fromBytes(bytes), TEXT)
  assert.equal(UserId.fromBytes(new Uint8Array(16).fill(0xff)), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  const given = new Uint8Array(16).fill(0xff)
  EventId.fromRandomBytes(given)
  assert.ok(
    given.every((byte) => byte === 0xff),
    "the caller's bytes are the caller's"
  )
  for (const value of [new Uint8Array(15), new Uint8Array(17), [...bytes], 'x', undefined])
    assert.equal(
      // @ts-expect-error: the argument has a wrong type
      failing(() => TenantId.fromBytes(value)),
      'ERR_INVALID_ARGUMENT'
    )
})

test('those that stand for the system itself', () => {
  assert.equal(TenantId.SYSTEM, TenantId.NIL)
  assert.equal(UserId.SYSTEM, '00000000-0000-0000-0000-000000000001')
  assert.ok(TenantId.isSystem(TenantId.NIL) && TenantId.isNil(TenantId.SYSTEM))
  assert.ok(UserId.isSystem(UserId.SYSTEM) && !UserId.isSystem(UserId.NIL) && !UserId.isNil(UserId.SYSTEM))
  const [user, tenant] = [UserId.random(), TenantId.random()]
  ensureUserIdNotReserved(user, tenant)
  ensureUserIdNotReserved(UserId.NIL, tenant)
  assert.equal(
    failing(() => ensureUserIdNotReserved(UserId.SYSTEM, TenantId.SYSTEM)),
    'ERR_INVALID_ID UserId reserved'
  )
  assert.equal(
    failing(() => ensureUserIdNotReserved(user, TenantId.SYSTEM)),
    'ERR_INVALID_ID TenantId reserved'
  )
})

test("a kind of one's own", () => {
  const AccountId = defineId('AccountId')
  assert.equal(AccountId.kind, 'AccountId')
  assert.equal(AccountId.parse(AccountId.random().toUpperCase()).length, 36)
  assert.ok(Object.isFrozen(AccountId) && Object.isFrozen(TenantId))
  for (const kind of ['', 'account-id', '1', undefined, 5])
    assert.equal(
      // @ts-expect-error: the argument has a wrong type
      failing(() => defineId(kind)),
      'ERR_INVALID_ARGUMENT'
    )
})
