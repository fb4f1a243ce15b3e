#!/usr/bin/env node
'use strict'
/**
 * scripts/foreign-binary.js PLATFORM FILE - is this an addon for macOS or Windows that would be let in there? Reads the
 * file as those systems do, since no tool of this one knows all four: the architecture, what it exports, the libraries
 * it asks for; on macOS the oldest version and the signature, page by page, without which Apple silicon runs nothing.
 * One line, or an error.
 */
const { createHash } = require('node:crypto')
const fs = require('node:fs')

/** What Node.js looks for. */
const ENTRY = 'napi_register_module_v1'

/**
 * @typedef {{
 *   format: string, cpu: string, exports: string[], libraries: string[], oldest?: string, signature?: string
 * }} Facts
 */

/** What is part of every macOS, and of every Windows 10: nothing has to lie beside the addon. */
const SYSTEM = /^\/usr\/lib\/lib(System\.B|charset\.1|iconv\.2)\.dylib$/
const WINDOWS = /^((kernel32|ntdll|advapi32|bcrypt|bcryptprimitives|ws2_32|userenv)\.dll|api-ms-win-[\w-]+\.dll)$/

/** @type {Record<string, { format: string, cpu: string, library: RegExp, oldest?: string, signature?: RegExp }>} */
const PROMISED = {
  // Intel's macOS asks for no signature.
  'darwin-x64': { format: 'Mach-O', cpu: 'x64', library: SYSTEM, oldest: '11.0' },
  'darwin-arm64': { format: 'Mach-O', cpu: 'arm64', library: SYSTEM, oldest: '11.0', signature: /^ad hoc$/ },
  'win32-x64': { format: 'PE', cpu: 'x64', library: WINDOWS },
  'win32-arm64': { format: 'PE', cpu: 'arm64', library: WINDOWS }
}

/** @param {Buffer} bytes @param {number} at */
const text = (bytes, at) => bytes.toString('latin1', at, bytes.indexOf(0, at))

/**
 * The names in a Mach-O's trie of exports.
 * @param {Buffer} trie
 */
function exportsOf(trie) {
  /** @type {string[]} */
  const names = []
  /** @param {number} at @returns {[number, number]} the number, and where it ends */
  const uleb = (at) => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = trie.readUInt8(at++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return [value, at]
    }
  }
  /** @param {number} at @param {string} name */
  const walk = (at, name) => {
    const [size, terminal] = uleb(at)
    if (size > 0) names.push(name)
    let here = terminal + size
    for (let left = trie.readUInt8(here++); left > 0; left--) {
      const edge = text(trie, here)
      const [child, next] = uleb(here + edge.length + 1)
      // Every node lies behind another one, so a trie that goes round in circles is no trie.
      if (name.length + edge.length > 4096) throw new Error('the exports go round in circles')
      walk(child, name + edge)
      here = next
    }
  }
  if (trie.length > 0) walk(0, '')
  return names
}

/**
 * The signature of a Mach-O, if every page is what it says.
 * @param {Buffer} bytes
 * @param {number} start
 */
function signatureOf(bytes, start) {
  if (bytes.readUInt32BE(start) !== 0xfade0cc0) throw new Error('the signature is none')
  for (let index = 0; index < bytes.readUInt32BE(start + 8); index++) {
    if (bytes.readUInt32BE(start + 12 + index * 8) !== 0) continue
    const directory = start + bytes.readUInt32BE(start + 16 + index * 8)
    const flags = bytes.readUInt32BE(directory + 12)
    const hashes = directory + bytes.readUInt32BE(directory + 16)
    const slots = bytes.readUInt32BE(directory + 28)
    const limit = bytes.readUInt32BE(directory + 32)
    const [hashSize, hashType, , pageBits] = bytes.subarray(directory + 36, directory + 40)
    if (hashSize !== 32 || hashType !== 2) throw new Error('the signature has no SHA-256')
    if (limit !== start || slots !== Math.ceil(limit / 2 ** pageBits))
      throw new Error(`the signature covers ${limit} bytes of ${start}`)
    for (let slot = 0; slot < slots; slot++) {
      const page = bytes.subarray(slot * 2 ** pageBits, Math.min((slot + 1) * 2 ** pageBits, limit))
      if (
        !createHash('sha256')
          .update(page)
          .digest()
          .equals(bytes.subarray(hashes + slot * 32, hashes + slot * 32 + 32))
      )
        throw new Error(`the signature does not fit page ${slot}`)
    }
    return flags & 2 ? 'ad hoc' : 'by somebody'
  }
  throw new Error('the signature has no directory')
}

/** @param {Buffer} bytes @returns {Facts} */
function machO(bytes) {
  const cpu = { 16777223: 'x64', 16777228: 'arm64' }[bytes.readUInt32LE(4)] ?? 'unknown'
  /** @type {Facts} */
  const facts = { format: 'Mach-O', cpu, exports: [], libraries: [] }
  const version = (/** @type {number} */ packed) => `${packed >>> 16}.${(packed >>> 8) & 0xff}`
  let at = 32
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const word = (/** @type {number} */ index) => bytes.readUInt32LE(at + index * 4)
    switch (word(0)) {
      case 0x0000000c:
      case 0x80000018:
      case 0x8000001f:
        facts.libraries.push(text(bytes, at + word(2)))
        break
      case 0x00000024:
        facts.oldest = version(word(2))
        break
      case 0x00000032:
        facts.oldest = version(word(3))
        break
      case 0x0000001d:
        facts.signature = signatureOf(bytes, word(2))
        break
      case 0x80000022:
        facts.exports = exportsOf(bytes.subarray(word(10), word(10) + word(11)))
        break
      case 0x80000033:
        facts.exports = exportsOf(bytes.subarray(word(2), word(2) + word(3)))
        break
    }
    at += word(1)
  }
  // What C calls f is _f here.
  facts.exports = facts.exports.map((name) => name.replace(/^_/, ''))
  return facts
}

/** @param {Buffer} bytes @returns {Facts} */
function portableExecutable(bytes) {
  const header = bytes.readUInt32LE(0x3c)
  if (bytes.toString('latin1', header, header + 4) !== 'PE\0\0') throw new Error('no header of a PE')
  const cpu = { 34404: 'x64', 43620: 'arm64' }[bytes.readUInt16LE(header + 4)] ?? 'unknown'
  const optional = header + 24
  if (bytes.readUInt16LE(optional) !== 0x20b) throw new Error('not of 64 bits')
  const sections = optional + bytes.readUInt16LE(header + 20)
  const fileOffset = (/** @type {number} */ address) => {
    for (let index = 0; index < bytes.readUInt16LE(header + 6); index++) {
      const [size, start, raw, pointer] = [8, 12, 16, 20].map((field) =>
        bytes.readUInt32LE(sections + index * 40 + field)
      )
      if (address >= start && address < start + Math.max(size, raw)) return address - start + pointer
    }
    throw new Error(`nothing is loaded at ${address}`)
  }
  const directory = (/** @type {number} */ index) => bytes.readUInt32LE(optional + 112 + index * 8)
  /** @type {Facts} */
  const facts = { format: 'PE', cpu, exports: [], libraries: [] }
  if (directory(0)) {
    const table = fileOffset(directory(0))
    const names = fileOffset(bytes.readUInt32LE(table + 32))
    for (let index = 0; index < bytes.readUInt32LE(table + 24); index++)
      facts.exports.push(text(bytes, fileOffset(bytes.readUInt32LE(names + index * 4))))
  }
  // Libraries that are asked for at once, and those that are asked for later.
  for (const [index, size, name] of [
    [1, 20, 12],
    [13, 32, 4]
  ]) {
    if (!directory(index)) continue
    for (let at = fileOffset(directory(index)); bytes.readUInt32LE(at + name) !== 0; at += size)
      facts.libraries.push(text(bytes, fileOffset(bytes.readUInt32LE(at + name))).toLowerCase())
  }
  return facts
}

/** @param {Buffer} bytes */
function factsOf(bytes) {
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return machO(bytes)
  if (bytes.toString('latin1', 0, 2) === 'MZ') return portableExecutable(bytes)
  throw new Error('neither Mach-O nor PE')
}

/** @param {string} a @param {string} b @returns {number} */
const compareVersions = (a, b) => a.localeCompare(b, 'en', { numeric: true })

/**
 * What is wrong with it, or undefined.
 * @param {Facts} facts
 * @param {string} platform
 */
function complaint(facts, platform) {
  const promised = PROMISED[platform]
  if (!promised) return `no such platform: ${platform}`
  if (facts.format !== promised.format || facts.cpu !== promised.cpu) return `it is ${facts.format} for ${facts.cpu}`
  if (!facts.exports.includes(ENTRY)) return `it does not export ${ENTRY}`
  // A table that is full at 65 535 names, which are nobody's business.
  if (facts.format === 'PE' && facts.exports.length > 10) return `it exports ${facts.exports.length} names`
  const stranger = facts.libraries.find((library) => !promised.library.test(library))
  if (stranger !== undefined) return `it needs ${stranger}`
  if (promised.oldest && !(facts.oldest && compareVersions(facts.oldest, promised.oldest) <= 0))
    return `it needs macOS ${facts.oldest}, ${promised.oldest} is promised`
  if (promised.signature && !promised.signature.test(facts.signature ?? 'none'))
    return `its signature is ${facts.signature ?? 'none'}`
  return undefined
}

/** @param {Facts} facts */
function shown({ format, cpu, libraries, oldest, signature }) {
  return [
    `${format} for ${cpu}`,
    oldest && `macOS ${oldest} or newer`,
    format === 'Mach-O' && `signature: ${signature ?? 'none'}`,
    `needs ${[...new Set(libraries)].join(' ')}`
  ]
    .filter(Boolean)
    .join(', ')
}

module.exports = { complaint, factsOf, shown }

if (require.main === module) {
  const [platform, file] = process.argv.slice(2)
  const facts = factsOf(fs.readFileSync(file))
  const wrong = complaint(facts, platform)
  process.stderr.write(`${platform} is ${shown(facts)}\n`)
  if (wrong) {
    process.stderr.write(`${platform}: ${wrong}\n`)
    process.exitCode = 1
  }
}
