'use strict'
/** Principals of both kinds: how they are recognized and read. */

const { invalidArgument, shown } = require('../native/errors')
const lossless = require('../internal/lossless-json')
const { ownOptions } = require('../internal/options')
const { PrincipalDocument, read } = require('./document')
const { HumanPrincipal } = require('./human')
const { WorkloadPrincipal } = require('./workload')

/** @typedef {import('./resolver').Principal} AnyPrincipal */

const Principal = Object.freeze({
  /**
   * @param {unknown} text
   * @param {{ strict?: boolean }} [options]
   */
  parse(text, options) {
    const { strict = false } = ownOptions(options, ['strict'], 'options')
    if (typeof strict !== 'boolean') throw invalidArgument(`options.strict: expected a boolean, got ${shown(strict)}`)
    if (typeof text !== 'string') throw invalidArgument(`text: expected a string, got ${shown(text)}`)
    const document = read(text, strict, Principal.parse)
    return document.members.kind === 'human' ? new HumanPrincipal(document) : new WorkloadPrincipal(document)
  },

  /**
   * @param {unknown} value
   * @param {{ strict?: boolean }} [options]
   * @returns {AnyPrincipal}
   */
  from(value, options) {
    if (Principal.is(value)) return options?.strict === undefined ? value : Principal.parse(value.toWire(), options)
    if (typeof value === 'string') return Principal.parse(value, options)
    if (typeof value !== 'object' || value === null)
      throw invalidArgument(`value: expected a principal or its JSON, got ${shown(value)}`)
    return Principal.parse(lossless.write(value, 'value'), options)
  },

  /**
   * @param {unknown} value
   * @returns {value is AnyPrincipal}
   */
  is(value) {
    return value instanceof PrincipalDocument
  }
})

module.exports = { Principal }
