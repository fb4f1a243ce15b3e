'use strict'
/** `countersign log verify`: is an audit log what the agent wrote? It needs no agent. */

const { readFileSync } = require('node:fs')
const { CountersignError } = require('../native/errors')
const { UsageError } = require('./exit')
const { printJson, printPairs } = require('./print')

/** @type {import('./main').Command} */
const verify = {
  summary: 'Find edits, deletions, lines out of order, and a truncated end',
  usage: 'FILE [--key FILE]...',
  options: {
    key: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'the public key that signs the log (PEM, or base64); repeat for each accepted key'
    },
    'without-head': { type: 'boolean', help: 'verify without FILE.head: truncation is not detected' }
  },
  notes:
    'Without --key it is verified with the key the log itself names, which an attacker could have made: keep\n' +
    'FILE.pub in another place.\nExit code 1: the log is not what was written.',
  async run({ values, positionals, json }) {
    if (positionals.length !== 1) throw new UsageError('expected one log')
    const { verifyLog } = require('../control/verify-log')
    const [file] = positionals
    const keys = (values.key ?? []).map(read)
    const verified = await verifyLog(file, { keys, withoutHead: values['without-head'] === true })
    if (json) return printJson({ file, ...verified })
    const { first, last, firstTime, lastTime, lastHash, signed, torn, key, synced, clockWentBack, files } = verified
    printPairs([
      ['log', `${file}, ${files} file${files === 1 ? '' : 's'}`],
      ['lines', `${first} to ${last}`],
      ['from', firstTime],
      ['to', lastTime],
      ['signed', signed >= last - 1 ? 'to the end' : `to line ${signed}; the lines behind it may be forged`],
      ['on the disk', synced === undefined ? 'unknown: without the head' : `to line ${synced}`],
      ['torn', torn > 0 ? `${torn} bytes of a line that was being written` : undefined],
      ['clock', clockWentBack === undefined ? undefined : `went back at line ${clockWentBack}`],
      ['key', keys.length > 0 ? key : `${key} (as the log says itself)`],
      ['last hash', lastHash]
    ])
    process.stdout.write('it is what was written\n')
  }
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', `--key ${file}: ${/** @type {Error} */ (cause).message}`, {
      cause
    })
  }
}

/** @type {import('./main').Group} */
module.exports = { summary: 'Audit logs', commands: { verify } }
