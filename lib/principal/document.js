'use strict'
/** The JSON of a principal, as the core reads and writes it. */

const { invalidArgument, shown } = require('../native/errors')
const lossless = require('../internal/lossless-json')
const { freezeJson } = require('../internal/freeze')
const { native } = require('../native/load')
const { ownOptions } = require('../internal/options')
const { answer } = require('../native/answer')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** What a document says, and its text. */
class Read {
  /**
   * @param {string} text
   * @param {Record<string, any>} members
   */
  constructor(text, members) {
    this.text = text
    this.members = members
  }
}

/**
 * @param {string} text
 * @param {boolean} strict
 * @param {Function} caller
 */
function read(text, strict, caller) {
  const answered = answer(native.principal(text, strict), caller)
  const end = answered.indexOf('\n')
  const canonical = answered.slice(0, end)
  const members = JSON.parse(canonical)
  const large = answered.slice(end + 1)
  if (large !== '') lossless.restore(members.attributes, JSON.parse(large))
  freezeJson(members.attributes)
  return new Read(canonical, members)
}

/**
 * The same from the fields of a constructor.
 * @param {Record<string, unknown>} members
 * @param {Function} caller
 */
function compose(members, caller) {
  const { attributes = {} } = members
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw invalidArgument(`attributes: expected an object, got ${shown(attributes)}`)
  }
  return read(lossless.write({ ...members, attributes }, 'attributes'), false, caller)
}

/**
 * The fields a caller gave: known ones only, and of a kind that is spread into new fields, that very kind.
 * @param {unknown} fields
 * @param {readonly string[]} known
 * @param {string} kind
 */
function checkFields(fields, known, kind) {
  const given = ownOptions(fields ?? null, [...known, 'kind'], 'fields')
  if (given.kind !== undefined && given.kind !== kind)
    throw invalidArgument(`fields.kind: expected '${kind}', got ${shown(given.kind)}`)
  return given
}

/** The base of both kinds of principal: a frozen value, and its exact text. */
class PrincipalDocument {
  #text

  /** @param {string} text */
  constructor(text) {
    this.#text = text
  }

  /** The JSON as text, exact on every runtime. */
  toWire() {
    return this.#text
  }

  /** @param {unknown} other */
  equals(other) {
    return other instanceof PrincipalDocument && this.#text === other.#text
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    const shownFields = /** @type {Record<string, unknown>} */ ({ .../** @type {object} */ (this) })
    // A live session ID may be usable by anyone who knows it.
    if (shownFields.sessionId !== undefined) shownFields.sessionId = '[redacted]'
    return `${this.constructor.name} ${show(shownFields, options)}`
  }
}

module.exports = { PrincipalDocument, Read, checkFields, compose, read }
