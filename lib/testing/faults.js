'use strict'
/** What goes wrong on command. */

const { invalidArgument, shown } = require('../native/errors')
const { checkOptions } = require('../internal/options')

/** The names of gRPC's statuses. */
const STATUSES = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED'
]
const METHODS = [
  'FetchX509SVID',
  'FetchX509Bundles',
  'FetchJWTSVID',
  'FetchJWTBundles',
  'ValidateJWTSVID',
  'FetchWITSVID',
  'FetchWITBundles'
]
/** The fields a message can be sent without, by the names of the protocol. */
const FIELDS = [
  'svids',
  'spiffe_id',
  'x509_svid',
  'x509_svid_key',
  'bundle',
  'bundles',
  'federated_bundles',
  'hint',
  'svid',
  'claims'
]
const WHEN = ['method', 'times']

/** @typedef {import('../../types/testing').FaultOptions} FaultOptions */

class Faults {
  #native

  /** @param {import('../../types/native').NativeTestAgent} agent */
  constructor(agent) {
    this.#native = agent
    Object.freeze(this)
  }

  /**
   * @param {Record<string, unknown>} fault
   * @param {Record<string, any> | undefined} options
   * @param {readonly string[]} [more]
   * @param {Buffer} [reply]
   */
  #plan(fault, options, more = [], reply = undefined) {
    const { method, times = 1 } = checkOptions(options, [...WHEN, ...more], 'options')
    if (method !== undefined && !METHODS.includes(method))
      throw invalidArgument(`options.method: expected one of ${METHODS.join(', ')}, got ${shown(method)}`)
    if (times !== Infinity && !(Number.isInteger(times) && times > 0 && times <= 0xffffffff))
      throw invalidArgument(`options.times: expected a number of times, or Infinity, got ${shown(times)}`)
    this.#native.plan(JSON.stringify({ ...fault, method, times: times === Infinity ? undefined : times }), reply)
  }

  /**
   * @param {string} code
   * @param {(FaultOptions & { message?: string })} [options]
   */
  status(code, options) {
    if (!STATUSES.includes(code))
      throw invalidArgument(`code: expected one of ${STATUSES.join(', ')}, got ${shown(code)}`)
    this.#plan({ kind: 'status', status: code, message: options?.message ?? '' }, options, ['message'])
  }

  /** @param {FaultOptions & { message?: string }} [options] */
  permissionDenied(options) {
    this.status('PERMISSION_DENIED', { message: 'no identity issued', ...options })
  }
  /** @param {FaultOptions & { message?: string }} [options] */
  unavailable(options) {
    this.status('UNAVAILABLE', options)
  }
  /** @param {FaultOptions & { message?: string }} [options] */
  invalidArgument(options) {
    this.status('INVALID_ARGUMENT', options)
  }
  /** @param {FaultOptions} [options] */
  reset(options) {
    this.#plan({ kind: 'reset' }, options)
  }
  /** @param {FaultOptions} [options] */
  end(options) {
    this.#plan({ kind: 'end' }, options)
  }
  /** @param {FaultOptions} [options] */
  garbage(options) {
    this.#plan({ kind: 'garbage' }, options)
  }
  /** @param {FaultOptions} [options] */
  badFrame(options) {
    this.#plan({ kind: 'badFrame' }, options)
  }
  /** @param {FaultOptions} [options] */
  duplicateHints(options) {
    this.#plan({ kind: 'duplicateHints' }, options)
  }
  /** @param {FaultOptions} [options] */
  wrongKey(options) {
    this.#plan({ kind: 'wrongKey' }, options)
  }

  /**
   * @param {number} milliseconds
   * @param {FaultOptions} [options]
   */
  slow(milliseconds, options) {
    if (!Number.isInteger(milliseconds) || milliseconds < 0)
      throw invalidArgument(`milliseconds: expected a whole number, got ${shown(milliseconds)}`)
    this.#plan({ kind: 'delay', delay: milliseconds }, options)
  }

  /**
   * @param {number} [bytes]
   * @param {FaultOptions} [options]
   */
  huge(bytes = 32 * 1024 * 1024, options) {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > 1 << 30)
      throw invalidArgument(`bytes: expected a whole number up to ${1 << 30}, got ${shown(bytes)}`)
    this.#plan({ kind: 'huge', bytes }, options)
  }

  /**
   * @param {string} field
   * @param {FaultOptions} [options]
   */
  blank(field, options) {
    if (!FIELDS.includes(field))
      throw invalidArgument(`field: expected one of ${FIELDS.join(', ')}, got ${shown(field)}`)
    this.#plan({ kind: 'blank', field }, options)
  }

  /**
   * @param {Uint8Array} message
   * @param {FaultOptions} [options]
   */
  respond(message, options) {
    if (!(message instanceof Uint8Array))
      throw invalidArgument('message: expected the bytes of a message, such as those of encodeX509Response()')
    this.#plan({ kind: 'respond' }, options, [], Buffer.from(message))
  }

  freeze() {
    this.#native.freeze(true)
  }
  thaw() {
    this.#native.freeze(false)
  }
  clear() {
    this.#native.clearFaults()
  }

  /**
   * @param {string} [code]
   * @param {string} [message]
   */
  dropStreams(code, message) {
    if (code !== undefined && code !== 'OK' && !STATUSES.includes(code))
      throw invalidArgument(`code: expected OK or one of ${STATUSES.join(', ')}, got ${shown(code)}`)
    this.#native.order(code ?? 'reset', message)
  }

  resend() {
    this.#native.order('resend')
  }
}

module.exports = { Faults, METHODS, FIELDS }
