'use strict'
/**
 * Holds what is built in to deny.toml, without a network and without cargo-deny: licences, sources, banned crates. And
 * the lock files: everything npm fetches for the build is pinned to its bytes.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

/** A list of strings of deny.toml. @param {string} text @param {string} section @param {string} key */
function listOf(text, section, key) {
  const [, part] = new RegExp(`^\\[${section}\\]\\n([^]*?)(?=^\\[|(?![^]))`, 'm').exec(text) ?? []
  const [, list] = new RegExp(`^${key} = \\[(.*)\\]$`, 'm').exec(part ?? '') ?? []
  if (list === undefined) throw new Error(`deny.toml has no ${key} in [${section}]`)
  return [...list.matchAll(/"([^"]*)"/g)].map(([, value]) => value)
}

/**
 * Whether an SPDX expression can be met with the licences allowed. `/` is how old crates write OR.
 * @param {string} expression
 * @param {readonly string[]} allowed
 */
function isMet(expression, allowed) {
  const tokens = expression.replaceAll('/', ' OR ').match(/\(|\)|\bAND\b|\bOR\b|[\w.+-]+(?: WITH [\w.-]+)?/g) ?? []
  let at = 0
  /** @returns {boolean} */
  const either = () => {
    let met = both()
    while (tokens[at] === 'OR') {
      at++
      met = both() || met
    }
    return met
  }
  /** @returns {boolean} */
  const both = () => {
    let met = one()
    while (tokens[at] === 'AND') {
      at++
      met = one() && met
    }
    return met
  }
  const one = () => {
    if (tokens[at] !== '(') return allowed.includes(tokens[at++])
    at++
    const met = either()
    at++
    return met
  }
  const met = either()
  return met && at === tokens.length
}

/** What is wrong with the crates that are built in. */
function crates() {
  const rules = fs.readFileSync(path.join(root, 'deny.toml'), 'utf8')
  const allowed = listOf(rules, 'licenses', 'allow')
  const banned = listOf(rules, 'bans', 'deny')
  const metadata = JSON.parse(
    execFileSync('cargo', ['metadata', '--format-version', '1', '--locked', '--all-features'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'inherit']
    })
  )
  // What is built in, on every system: tests bring crates that nobody ships.
  const nodes = new Map(metadata.resolve.nodes.map((/** @type {any} */ node) => [node.id, node]))
  const shipped = new Set(metadata.workspace_members)
  for (const id of shipped) {
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps)
      if (kinds.some((/** @type {any} */ { kind }) => kind !== 'dev')) shipped.add(pkg)
  }
  /** @type {string[]} */
  const wrong = []
  for (const { id, name, version, license, source } of metadata.packages) {
    if (!shipped.has(id)) continue
    if (!license || !isMet(license, allowed)) wrong.push(`${name} ${version}: the licence ${license} is not allowed`)
    if (source !== null && source !== 'registry+https://github.com/rust-lang/crates.io-index')
      wrong.push(`${name} ${version}: comes from ${source}`)
    if (banned.includes(name)) wrong.push(`${name} ${version}: is banned`)
  }
  return { count: shipped.size, wrong }
}

/** What is wrong with the lock file of npm. */
function packages() {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages
  const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const wrong = Object.keys(manifest.dependencies ?? {}).map(
    (name) => `${name}: the package has no dependencies at run time`
  )
  for (const [where, { integrity, link }] of Object.entries(lock)) {
    if (where !== '' && !link && !/^sha512-/.test(integrity ?? '')) wrong.push(`${where}: is not pinned to its bytes`)
  }
  return { count: Object.keys(lock).length - 1, wrong }
}

module.exports = { isMet }

if (require.main === module) {
  const all = [crates(), packages()]
  for (const line of all.flatMap(({ wrong }) => wrong)) process.stderr.write(`${line}\n`)
  process.stdout.write(`${all[0].count} crates are shipped, ${all[1].count} packages build them\n`)
  process.exitCode = all.some(({ wrong }) => wrong.length > 0) ? 1 : 0
}
