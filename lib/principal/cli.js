'use strict'
/** This process's own principal, from its command line and environment. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { invalidComponent } = require('./failure')
const { Issuer } = require('./issuer')
const { PrincipalResolver, RESOLVE } = require('./resolver')
const { WorkloadPrincipal } = require('./workload')

/**
 * The names, in the order in which a missing one is reported: field, option of the command line, environment variable.
 */
const NAMES = Object.freeze(
  /** @type {const} */ ([
    ['trustDomain', '--trust-domain', 'COUNTERSIGN_TRUST_DOMAIN'],
    ['serviceName', '--service-name', 'COUNTERSIGN_SERVICE_NAME'],
    ['tenantId', '--tenant-id', 'COUNTERSIGN_TENANT_ID'],
    ['tenantSlug', '--tenant-slug', 'COUNTERSIGN_TENANT_SLUG']
  ])
)
const ATTRIBUTE = '--attribute'
const ATTRIBUTES = 'COUNTERSIGN_ATTRIBUTES'
const FIELDS = [...NAMES.map(([field]) => field), 'attributes']

class CliResolver extends PrincipalResolver {
  /** @param {unknown} fields */
  constructor(fields) {
    super()
    const given = ownOptions(fields ?? null, FIELDS, 'fields')
    for (const [field, option, variable] of NAMES) {
      if (given[field] === undefined)
        throw invalidComponent(field, 'not_set', `${field} not set (${option}, ${variable})`)
    }
    this.principal = new WorkloadPrincipal({ .../** @type {any} */ (given), issuer: Issuer.cli })
    Object.freeze(this)
  }

  /**
   * What the command line says before what the environment says before the defaults.
   * @param {{ argv?: readonly string[], env?: Record<string, string | undefined>, defaults?: object }} [options]
   */
  static read(options) {
    const {
      argv = process.argv.slice(2),
      env = process.env,
      defaults = {}
    } = ownOptions(options, ['argv', 'env', 'defaults'], 'options')
    if (!Array.isArray(argv) || !argv.every((one) => typeof one === 'string'))
      throw invalidArgument(`options.argv: expected a list of strings, got ${shown(argv)}`)
    const base = ownOptions(defaults, FIELDS, 'options.defaults')
    const said = fromArguments(argv)
    /** @type {Record<string, unknown>} */
    const fields = {}
    for (const [field, option, variable] of NAMES) {
      const value = said.get(option) ?? env[variable]
      // Something was meant, and got lost on the way here: what stands behind it was not meant.
      if (value === '')
        throw invalidComponent(field, 'empty', `${field} is empty (${said.has(option) ? option : variable})`)
      fields[field] = value ?? base[field]
    }
    fields.attributes = { ...base.attributes, ...fromVariable(env[ATTRIBUTES]), ...said.attributes }
    return new CliResolver(fields)
  }

  async [RESOLVE]() {
    return this.principal
  }
}

/**
 * Our options among the program's own, up to `--`. One that is there twice says two things.
 * @param {readonly string[]} argv
 */
function fromArguments(argv) {
  /** @type {Map<string, string> & { attributes?: Record<string, string> }} */
  const said = new Map()
  /** @type {Record<string, string>} */
  const attributes = Object.create(null)
  for (let index = 0; index < argv.length && argv[index] !== '--'; index++) {
    const [option, inline] = cut(argv[index])
    const ours = option === ATTRIBUTE || NAMES.some(([, name]) => name === option)
    if (!ours) continue
    const value = inline ?? argv[++index]
    if (value === undefined || (inline === undefined && value.startsWith('--')))
      throw invalidArgument(`${option}: a value is missing`)
    if (option !== ATTRIBUTE) {
      if (said.has(option)) throw invalidArgument(`${option} is there twice`)
      said.set(option, value)
      continue
    }
    const [name, text] = cut(value)
    if (name === '' || text === undefined)
      throw invalidArgument(`${ATTRIBUTE}: expected name=value, got ${JSON.stringify(value)}`)
    if (name in attributes) throw invalidArgument(`${ATTRIBUTE} ${name} is there twice`)
    attributes[name] = text
  }
  said.attributes = attributes
  return said
}

/**
 * What stands before and behind the first `=`.
 * @param {string} text
 * @returns {[string, string | undefined]}
 */
function cut(text) {
  const at = text.indexOf('=')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

/** @param {string | undefined} text */
function fromVariable(text) {
  if (text === undefined) return {}
  let value
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', `${ATTRIBUTES} is not JSON`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidArgument(`${ATTRIBUTES}: expected a JSON object, got ${shown(value)}`)
  return value
}

module.exports = { CliResolver }
