'use strict'
/** UUIDs that TypeScript keeps apart: a tenant is not a user. */

const { createHash, randomUUID } = require('node:crypto')
const { isUint8Array } = require('node:util').types
const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')

/** A text of this form is an ID as it is written, and costs no call into the core. */
const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const NIL = '00000000-0000-0000-0000-000000000000'
const SYSTEM_USER = '00000000-0000-0000-0000-000000000001'

/**
 * @param {string} kind
 * @param {'empty' | 'not_a_uuid' | 'reserved'} reason
 */
function invalidId(kind, reason) {
  const messages = {
    empty: 'must be non-empty',
    not_a_uuid: 'must be a valid UUID',
    reserved: 'matches a reserved system identifier'
  }
  return new CountersignError('ERR_INVALID_ID', `${kind} ${messages[reason]}`, { kind, reason })
}

/** @param {Uint8Array} bytes */
function write(bytes) {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/**
 * The bytes with a version and the variant put in (RFC 9562 4.1, 4.2).
 * @param {Uint8Array} bytes
 * @param {number} version
 */
function stamped(bytes, version) {
  bytes[6] = (bytes[6] & 0x0f) | (version << 4)
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes
}

/** @param {unknown} bytes */
function sixteen(bytes) {
  if (isUint8Array(bytes) && bytes.length === 16) return Uint8Array.from(bytes)
  throw invalidArgument(
    `bytes: expected a Uint8Array of 16, got ${isUint8Array(bytes) ? `one of ${bytes.length}` : shown(bytes)}`
  )
}

/** One kind of ID: how it is read and made. The IDs themselves are strings. */
class IdKind {
  /** @param {string} kind */
  constructor(kind) {
    this.kind = kind
    this.NIL = NIL
  }

  /** @param {unknown} text */
  parse(text) {
    if (typeof text !== 'string') throw invalidArgument(`${this.kind}: expected a string, got ${shown(text)}`)
    if (CANONICAL.test(text)) return text
    if (text === '') throw invalidId(this.kind, 'empty')
    const id = native.uuid(text)
    if (!id) throw invalidId(this.kind, 'not_a_uuid')
    return id
  }

  /** @param {unknown} value */
  is(value) {
    return typeof value === 'string' && CANONICAL.test(value)
  }

  random() {
    return randomUUID()
  }

  /**
   * @param {string} namespace
   * @param {string} name
   */
  fromName(namespace, name) {
    if (typeof name !== 'string' || !name.isWellFormed())
      throw invalidArgument(`name: expected a well-formed string, got ${shown(name)}`)
    // RFC 9562 5.5: the first 16 bytes of SHA-1, made version 5.
    return write(
      stamped(createHash('sha1').update(Namespace.toBytes(namespace)).update(name).digest().subarray(0, 16), 5)
    )
  }

  /** @param {Uint8Array} bytes */
  fromBytes(bytes) {
    return write(sixteen(bytes))
  }

  /** @param {Uint8Array} bytes */
  fromRandomBytes(bytes) {
    return write(stamped(sixteen(bytes), 4))
  }

  /** @param {string} id */
  toBytes(id) {
    return Uint8Array.from(Buffer.from(this.parse(id).replaceAll('-', ''), 'hex'))
  }

  /** @param {string} id */
  isNil(id) {
    return this.parse(id) === NIL
  }
}

/** Those of which one stands for the system itself. */
class IdKindWithSystem extends IdKind {
  /**
   * @param {string} kind
   * @param {string} system
   */
  constructor(kind, system) {
    super(kind)
    this.SYSTEM = system
  }

  /** @param {string} id */
  isSystem(id) {
    return this.parse(id) === this.SYSTEM
  }
}

/** @param {string} kind */
function defineId(kind) {
  if (typeof kind !== 'string' || !/^[A-Za-z][A-Za-z0-9]*$/.test(kind)) {
    throw invalidArgument(`kind: expected a name such as 'AccountId', got ${shown(kind)}`)
  }
  return Object.freeze(new IdKind(kind))
}

const Namespace = new IdKind('namespace')
const TenantId = Object.freeze(new IdKindWithSystem('TenantId', NIL))
const UserId = Object.freeze(new IdKindWithSystem('UserId', SYSTEM_USER))
const DeviceId = defineId('DeviceId')
const SessionId = defineId('SessionId')
const EventId = defineId('EventId')

/**
 * @param {string} userId
 * @param {string} tenantId
 */
function ensureUserIdNotReserved(userId, tenantId) {
  if (UserId.isSystem(userId)) throw invalidId('UserId', 'reserved')
  if (TenantId.isSystem(tenantId)) throw invalidId('TenantId', 'reserved')
}

module.exports = { DeviceId, EventId, SessionId, TenantId, UserId, defineId, ensureUserIdNotReserved }
