// Which addon is taken, and which may be published: by what the file itself says of its build and its sources.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { root } from './support/child.mjs'

const require = createRequire(import.meta.url)
const { inspect, platformHere, requireShippable } = require('../scripts/addon')
const { fill } = require('../scripts/fill-packages')
const { PLATFORMS, packageName } = require('../scripts/npm-packages')
const { digest } = require('../scripts/sources')

const here = platformHere()
const addon = readFileSync(path.join(root, here.file))
const MARK = /countersign addon: \w+ build of sources \w{64}\./

/** @type {string} */
let directory
before(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-build-'))
})
after(() => rmSync(directory, { recursive: true }))

/** What build.rs writes into an addon. @param {string} profile @param {string} sources */
const mark = (profile, sources) => `countersign addon: ${profile} build of sources ${sources}.`

/**
 * The addon of this checkout with another mark in it, and room left where that is shorter.
 * @param {string} profile
 * @param {string} sources
 */
function marked(profile, sources) {
  const copy = Buffer.from(addon)
  const at = copy.indexOf('countersign addon: ')
  const text = mark(profile, sources)
  copy.write(text, at, 'latin1')
  return copy
}

let checkouts = 0
/** The scripts and the sources, with no addon: a checkout in which nothing was built. */
function checkout() {
  const to = path.join(directory, `checkout-${++checkouts}`)
  const parts = ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo/config.toml', 'src', 'scripts']
  parts.push('crates/countersign/Cargo.toml', 'crates/countersign/src')
  for (const part of [...parts, 'package.json', 'package-lock.json'])
    cpSync(path.join(root, part), path.join(to, part), { recursive: true })
  mkdirSync(path.join(to, 'node_modules'))
  writeFileSync(path.join(to, 'node_modules', '.package-lock.json'), '{}')
  return to
}

/** The platform package, as npm installs it. @param {string} to a checkout @param {Buffer} content */
function installPackage(to, content) {
  const at = path.join(to, 'node_modules', packageName(here))
  cpSync(path.join(root, 'npm', here.name), at, { recursive: true })
  writeFileSync(path.join(at, here.file), content)
}

/** setUp in a checkout, where neither cargo nor a C compiler can be found. @param {string} at */
function setUp(at) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--eval', `require(${JSON.stringify(path.join(at, 'scripts', 'setup'))}).setUp()`],
    { encoding: 'utf8', env: { PATH: path.join(directory, 'nothing'), HOME: directory } }
  )
  return { status, output: stdout + stderr, built: readdirSync(at).filter((name) => name.endsWith('.node')) }
}

test('the addon of this checkout says that it was built from its sources', () => {
  const { profile, sources } = inspect(path.join(root, here.file))
  assert.match(profile, /^(quick|release)$/)
  assert.equal(sources, digest())
  assert.equal(addon.toString('latin1').match(new RegExp(MARK, 'g'))?.length, 1)
})

describe('the digest of the sources', () => {
  test('is the same in another place, with other times and other ends of lines', () => {
    const at = checkout()
    const file = path.join(at, 'src', 'lib.rs')
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'))
    assert.equal(digest(at), digest())
  })

  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo/config.toml', 'src/lib.rs'])
    test(`is another after a change of ${name}`, () => {
      const at = checkout()
      appendFileSync(path.join(at, name), '\n')
      assert.notEqual(digest(at), digest())
    })

  test('is another when a file has another name', () => {
    const at = checkout()
    cpSync(path.join(at, 'src', 'lib.rs'), path.join(at, 'src', 'other.rs'))
    const copied = digest(at)
    cpSync(path.join(at, 'src', 'other.rs'), path.join(at, 'src', 'another.rs'))
    rmSync(path.join(at, 'src', 'other.rs'))
    assert.notEqual(digest(at), copied)
    assert.notEqual(copied, digest())
  })
})

describe('set-up without cargo', () => {
  test('takes the published addon that was released from these sources', () => {
    const at = checkout()
    installPackage(at, marked('release', digest()))
    const { status, output, built } = setUp(at)
    assert.equal(status, 0, output)
    assert.match(output, /released from these sources/)
    assert.deepEqual(built, [here.file])
    assert.equal(setUp(at).output, '')
  })

  test('takes it in place of an older one', () => {
    const at = checkout()
    writeFileSync(path.join(at, here.file), marked('quick', '0'.repeat(64)))
    installPackage(at, marked('release', digest()))
    assert.equal(setUp(at).status, 0)
    assert.equal(inspect(path.join(at, here.file)).sources, digest())
  })

  for (const [what, profile, sources] of [
    ['of other sources', 'release', '0'.repeat(64)],
    ['of a quick build', 'quick', digest()],
    ['of a trial', 'trial', digest()],
    ['that says nothing of its build', 'unknown', '0'.repeat(64)]
  ])
    test(`wants cargo where the published addon is one ${what}`, () => {
      const at = checkout()
      installPackage(at, marked(profile, sources))
      const { status, output, built } = setUp(at)
      assert.equal(status, 1, output)
      assert.match(output, /cargo is needed to build the addon/)
      assert.deepEqual(built, [])
    })

  test('wants cargo after a change of a source', () => {
    const at = checkout()
    installPackage(at, marked('release', digest()))
    appendFileSync(path.join(at, 'src', 'lib.rs'), '// changed\n')
    assert.match(setUp(at).output, /cargo is needed to build the addon/)
  })
})

describe('the packages are filled', () => {
  /** A file that has no symbols, for it is no ELF file. */
  const released = (/** @type {string} */ profile, /** @type {string} */ sources) =>
    Buffer.from(`addon\0${mark(profile, sources)}\0`)

  /** @param {Buffer} last the addon of the last platform @returns the folders of the packages */
  function filled(last) {
    const at = mkdtempSync(path.join(directory, 'artifacts-'))
    const npm = path.join(at, 'npm')
    for (const { name, file } of PLATFORMS) {
      mkdirSync(path.join(npm, name), { recursive: true })
      writeFileSync(path.join(at, file), released('release', digest()))
    }
    writeFileSync(path.join(at, /** @type {any} */ (PLATFORMS.at(-1)).file), last)
    return { npm, fill: () => fill(at, npm) }
  }

  test('with releases of these sources', () => {
    const { npm, fill } = filled(released('release', digest()))
    fill()
    for (const { name, file } of PLATFORMS) assert.deepEqual(readdirSync(path.join(npm, name)), [file])
  })

  for (const [what, content, message] of /** @type {[string, Buffer, RegExp][]} */ ([
    ['a quick build', released('quick', digest()), /a release build is needed, and this is: quick/],
    ['a trial', released('trial', digest()), /a release build is needed, and this is: trial/],
    [
      'an addon that says nothing of its build',
      Buffer.from('addon'),
      /a release build is needed, and this is: unknown/
    ],
    ['a release of other sources', released('release', '0'.repeat(64)), /was built from other sources/]
  ]))
    test(`and not at all when one is ${what}`, () => {
      const { npm, fill } = filled(content)
      assert.throws(fill, message)
      for (const { name } of PLATFORMS) assert.deepEqual(readdirSync(path.join(npm, name)), [])
    })

  test('and not with a file that has its symbols', { skip: process.platform === 'linux' ? false : 'ELF files' }, () => {
    const file = path.join(directory, 'with-symbols.node')
    const elf = marked('release', digest())
    if (inspect(path.join(root, here.file)).stripped) elf.writeUInt32LE(2, symtabAt(elf))
    writeFileSync(file, elf)
    assert.throws(() => requireShippable(file, digest()), /is not stripped/)
  })
})

/**
 * Where the type of the last section stands: with that of a symbol table in it, the file is one with symbols.
 * @param {Buffer} elf
 */
const symtabAt = (elf) => Number(elf.readBigUInt64LE(40)) + (elf.readUInt16LE(60) - 1) * elf.readUInt16LE(58) + 4
