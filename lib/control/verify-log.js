'use strict'
/** Is an audit log what the agent wrote? */

const { CountersignError, invalidArgument } = require('../native/errors')
const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const { unwrap } = require('../native/answer')
const { toVerified } = require('./values')

/**
 * @param {string} file
 * @param {{ keys?: readonly string[], withoutHead?: boolean }} [options]
 */
async function verifyLog(file, options) {
  const { keys = [], withoutHead = false } = checkOptions(options, ['keys', 'withoutHead'], 'options')
  if (typeof file !== 'string' || file === '' || file.includes('\0')) throw invalidArgument('file: expected a path')
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'string'))
    throw invalidArgument('options.keys: expected a list of public keys, as PEM or base64')
  if (typeof withoutHead !== 'boolean') throw invalidArgument('options.withoutHead: expected a boolean')
  if (typeof native.verifyLog !== 'function')
    throw new CountersignError('ERR_UNSUPPORTED_PLATFORM', `${process.platform} has no agent, and no logs of one`)
  return toVerified(unwrap(await native.verifyLog(file, [...keys], withoutHead)))
}

module.exports = { verifyLog }
