'use strict'
/** The configuration of an agent as an object, and the rules file it stands for. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')

/** @typedef {import('../../types/agent').RuleConfig} RuleConfig */
/** @typedef {import('../../types/agent').WorkloadApiConfig} WorkloadApiConfig */
/** @typedef {(value: unknown, path: string) => string} Write */

/** @type {Write} */
const text = (value, path) => {
  if (typeof value !== 'string') throw invalidArgument(`${path}: expected a string, got ${shown(value)}`)
  if (/[\ud800-\udfff]/.test(value) && !value.isWellFormed?.())
    throw invalidArgument(`${path}: not well-formed Unicode`)
  return JSON.stringify(value)
}
/** @type {Write} */
const id = (value, path) => {
  if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > 0xffffffff)
    throw invalidArgument(`${path}: expected an integer from 0 to 4294967295, got ${shown(value)}`)
  return String(value)
}
/** @type {Write} */
const nameOrId = (value, path) => (typeof value === 'number' ? id(value, path) : text(value, path))
/** @type {Write} */
const flag = (value, path) => {
  if (typeof value !== 'boolean') throw invalidArgument(`${path}: expected a boolean, got ${shown(value)}`)
  return String(value)
}
/** Milliseconds here, whole seconds there: no SVID lives for parts of one. @type {Write} */
const duration = (value, path) => {
  if (typeof value !== 'number' || !(value >= 1000) || value > Number.MAX_SAFE_INTEGER)
    throw invalidArgument(`${path}: expected milliseconds, at least 1000, got ${shown(value)}`)
  return String(Math.ceil(value / 1000))
}
/** @type {Write} */
const texts = (value, path) => {
  if (!Array.isArray(value)) throw invalidArgument(`${path}: expected a list of strings, got ${shown(value)}`)
  return `[${value.map((item, index) => text(item, `${path}[${index}]`)).join(', ')}]`
}
/** A SpiffeId or TrustDomain is as good as its text. @type {Write} */
const name = (value, path) => text(typeof value === 'object' && value !== null ? String(value) : value, path)
/** @type {Write} */
const names = (value, path) =>
  texts(
    Array.isArray(value)
      ? value.map((item) => (typeof item === 'object' && item !== null ? String(item) : item))
      : value,
    path
  )

/** @type {Record<string, [string, Write]>} */
const MATCH = {
  uid: ['uid', id],
  user: ['user', text],
  gid: ['gid', id],
  group: ['group', nameOrId],
  exe: ['exe', text],
  exeSha256: ['exe_sha256', text],
  process: ['process', text],
  cgroup: ['cgroup', text],
  unit: ['unit', text]
}
/** @type {Record<string, [string, Write]>} */
const RULE = {
  identity: ['identity', text],
  match: [
    'match',
    (value, path) =>
      `{ ${members(value, MATCH, path)
        .map(([key, written]) => `${key} = ${written}`)
        .join(', ')} }`
  ],
  idmUrl: ['idm_url', text],
  configUrl: ['config_url', text],
  token: ['token', text],
  tokenFile: ['token_file', text],
  allowSpoofable: ['allow_spoofable', flag],
  spiffeId: ['spiffe_id', name],
  hint: ['hint', text],
  x509SvidTtl: ['x509_svid_ttl', duration],
  jwtSvidTtl: ['jwt_svid_ttl', duration],
  dnsNames: ['dns_names', texts],
  federatesWith: ['federates_with', names]
}
/** @type {Record<string, [string, Write]>} */
const WORKLOAD_API = {
  trustDomain: ['trust_domain', name],
  caTtl: ['ca_ttl', duration],
  x509SvidTtl: ['x509_svid_ttl', duration],
  jwtSvidTtl: ['jwt_svid_ttl', duration]
}
/** @type {Record<string, [string, Write]>} */
const FEDERATION = {
  bundleFile: ['bundle_file', text],
  bundleEndpointUrl: ['bundle_endpoint_url', text],
  bundleEndpointProfile: ['bundle_endpoint_profile', text],
  endpointSpiffeId: ['endpoint_spiffe_id', name]
}

/**
 * @param {unknown} value
 * @param {Record<string, [string, Write]>} known
 * @param {string} path
 * @returns {[string, string, string][]} name in the file, value, path here
 */
function members(value, known, path) {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidArgument(`${path}: expected an object, got ${shown(value)}`)
  return Object.entries(value).map(([key, item]) => {
    if (!Object.hasOwn(known, key))
      throw invalidArgument(`${path}: unknown key ${JSON.stringify(key)} (known: ${Object.keys(known).join(', ')})`)
    const [written, write] = known[key]
    return [written, write(item, `${path}.${key}`), `${path}.${key}`]
  })
}

/** A rules file, and which part of the configuration each of its lines stands for. */
class RulesText {
  text = ''
  /** @type {string[]} */
  paths = []

  /**
   * @param {string} line
   * @param {string} path
   */
  add(line, path) {
    this.text += `${line}\n`
    this.paths.push(path)
  }

  /**
   * An error of the agent's, told in terms of the configuration.
   * @param {any} details
   */
  explain({ code, message, line, column, file, ...details }) {
    if (code !== 'ERR_INVALID_RULES' || line == null) return new CountersignError(code, message, details)
    const path = this.paths[line - 1] ?? 'config'
    return new CountersignError(code, `${path}: ${String(message).replace(/^rules:\d+:\d+: /, '')}`, {
      ...details,
      path
    })
  }
}

/**
 * @param {readonly RuleConfig[]} rules
 * @param {WorkloadApiConfig | undefined} workloadApi
 */
function rulesText(rules, workloadApi) {
  const written = new RulesText()
  if (workloadApi) {
    const { federatesWith, socketPath, stateDir, ...settings } = workloadApi
    written.add('[workload_api]', 'workloadApi')
    for (const [key, value, path] of members(settings, WORKLOAD_API, 'workloadApi'))
      written.add(`${key} = ${value}`, path)
    for (const [trustDomain, federation] of Object.entries(federatesWith ?? {})) {
      const path = `workloadApi.federatesWith[${JSON.stringify(trustDomain)}]`
      written.add(`[workload_api.federates_with.${text(trustDomain, path)}]`, path)
      for (const [key, value, at] of members(federation, FEDERATION, path)) written.add(`${key} = ${value}`, at)
    }
  }
  if (!Array.isArray(rules)) throw invalidArgument(`rules: expected a list, got ${shown(rules)}`)
  for (const [index, rule] of rules.entries()) {
    written.add('[[rule]]', `rules[${index}]`)
    for (const [key, value, path] of members(rule, RULE, `rules[${index}]`)) written.add(`${key} = ${value}`, path)
  }
  return written
}

module.exports = { rulesText }
