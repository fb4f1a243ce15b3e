// How the native addon is found, and what is said when it is not.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'

const root = path.join(import.meta.dirname, '..')
const { version } = createRequire(import.meta.url)('../package.json')
const addon = /** @type {string} */ (readdirSync(root).find((name) => name.endsWith('.node')))

/** @type {string} */
let directory
before(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-load-'))
})
after(() => rmSync(directory, { recursive: true }))

let packages = 0
/**
 * The JavaScript of the package somewhere else, with the addon or without.
 * @param {{ local?: boolean, version?: string }} [options]
 */
function copy({ local = false, version: other } = {}) {
  const to = path.join(directory, String(++packages), 'node_modules', 'countersign')
  mkdirSync(to, { recursive: true })
  cpSync(path.join(root, 'lib'), path.join(to, 'lib'), { recursive: true })
  copyFileSync(path.join(root, 'index.js'), path.join(to, 'index.js'))
  const manifest = JSON.parse(JSON.stringify(createRequire(import.meta.url)('../package.json')))
  writeFileSync(path.join(to, 'package.json'), JSON.stringify(manifest))
  if (other) {
    const loader = path.join(to, 'lib', 'native', 'load.js')
    writeFileSync(loader, readFileSync(loader, 'utf8').replace(`'${version}'`, `'${other}'`))
  }
  if (local) copyFileSync(path.join(root, addon), path.join(to, addon))
  return to
}

/** @param {string} at a package by the loader's name for it, holding the addon @param {string} main */
function install(at, main) {
  mkdirSync(at, { recursive: true })
  writeFileSync(path.join(at, 'package.json'), JSON.stringify({ name: 'x', main }))
}

/**
 * Require the package in a fresh process.
 * @param {string} at
 * @param {{ before?: string, after?: string, env?: Record<string, string>, flags?: string[] }} [options]
 */
function load(at, { before = '', after = '', env = {}, flags = [] } = {}) {
  const script = `${before}
    let result
    try { result = { names: Object.keys(require(${JSON.stringify(at)})).length } } catch (error) {
      const causes = error.cause?.errors?.map((each) => each.message)
      result = { code: error.code, name: error.name, message: error.message, causes }
    }
    ${after}
    console.log(JSON.stringify(result))`
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, '--eval', script], {
    env: { ...process.env, ...env },
    encoding: 'utf8'
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

const [, platform, arch, c] = /** @type {RegExpMatchArray} */ (/\.(\w+)-(\w+)-(\w+)\.node$/.exec(addon))
const installed = `@countersign/${platform}-${arch}-${c}`

describe('the addon', () => {
  test('of a checkout is loaded', () => assert.ok(load(copy({ local: true })).names > 5))
  test('of the platform package is loaded', () => {
    const at = copy()
    const to = path.join(at, '..', installed)
    install(to, addon)
    copyFileSync(path.join(root, addon), path.join(to, addon))
    assert.ok(load(at).names > 5)
  })
  test('that is missing: the message says what, where, what was tried, and the fix', () => {
    const { code, name, message, causes } = load(copy())
    assert.equal(code, 'ERR_NATIVE_UNAVAILABLE')
    assert.equal(name, 'CountersignError')
    for (const part of [
      `platform ${platform}`,
      `arch ${arch}`,
      `libc ${c === 'musl' ? 'musl' : 'gnu'}`,
      process.version,
      `tried ./${addon}`,
      `tried ${installed}`,
      `npm install --include=optional ${installed}@${version}`,
      'lock file'
    ]) {
      assert.ok(message.includes(part), `${part} is not in:\n${message}`)
    }
    assert.equal(causes.length, 2)
    for (const cause of causes) assert.match(cause, /Cannot find module/)
  })
  test('that the loader asks for is the one of this package', () => {
    assert.match(
      readFileSync(path.join(root, 'lib', 'native', 'load.js'), 'utf8'),
      new RegExp(`^const EXPECTED = '${version.replaceAll('.', '\\.')}'$`, 'm')
    )
  })
  test('of another version is refused, and the next one is tried', () => {
    const at = copy({ local: true, version: '99.0.0' })
    const { code, message } = load(at)
    assert.equal(code, 'ERR_NATIVE_UNAVAILABLE')
    assert.match(message, new RegExp(`is version ${version.replaceAll('.', '\\.')}, 99\\.0\\.0 is needed`))
    const other = path.join(at, '..', installed)
    install(other, 'index.js')
    writeFileSync(path.join(other, 'index.js'), 'exports.version = () => "98.0.0"')
    assert.match(load(at).message, /is version 98\.0\.0, 99\.0\.0 is needed/)
    writeFileSync(path.join(other, 'index.js'), 'exports.version = () => "99.0.0"')
    assert.notEqual(load(at).code, 'ERR_NATIVE_UNAVAILABLE')
  })
  test('that is broken is refused with the reason', () => {
    const at = copy()
    writeFileSync(path.join(at, addon), 'not a library')
    const { code, causes } = load(at)
    assert.equal(code, 'ERR_NATIVE_UNAVAILABLE')
    assert.match(causes[0], /file too short|invalid ELF|not a mach-o|not a valid/i)
  })
  test('for a platform nobody built for: the message names those there are', () => {
    for (const [key, value] of [
      ['platform', 'sunos'],
      ['arch', 'mips']
    ]) {
      const { code, message } = load(copy({ local: true }), {
        before: `Object.defineProperty(process, ${JSON.stringify(key)}, { value: ${JSON.stringify(value)} })`
      })
      assert.equal(code, 'ERR_NATIVE_UNAVAILABLE')
      assert.ok(message.includes(`${key} ${value}`) && /supported: .*linux-x64-gnu/.test(message), message)
    }
  })
})

const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

describe('under the permission model of Node.js', () => {
  test('without --allow-addons: the message says so', () => {
    const { code, message } = load(copy({ local: true }), { flags: [permission, '--allow-fs-read=*'] })
    assert.equal(code, 'ERR_NATIVE_UNAVAILABLE')
    assert.match(message, /fix: .*--allow-addons/)
    assert.doesNotMatch(message, /npm install/)
  })
  test('it is loaded, with every file in sight and with its own only', () => {
    const at = copy({ local: true })
    assert.ok(load(at, { flags: [permission, '--allow-addons', '--allow-fs-read=*'] }).names > 5)
    assert.ok(
      load(at, { flags: [permission, '--allow-addons', `--allow-fs-read=${path.join(at, '..', '*')}`] }).names > 5
    )
  })
})

describe('the loader', () => {
  test('listens to no environment variable', () => {
    const trap = path.join(directory, 'trap.js')
    writeFileSync(trap, 'process.stdout.write("TRAPPED"); exports.version = () => require("./package.json").version')
    const env = {
      NAPI_RS_NATIVE_LIBRARY_PATH: trap,
      NAPI_RS_FORCE_WASI: '1',
      NAPI_RS_ENFORCE_VERSION_CHECK: '0',
      COUNTERSIGN_NATIVE: trap,
      COUNTERSIGN_NATIVE_LIBRARY_PATH: trap
    }
    assert.ok(load(copy({ local: true }), { env }).names > 5)
    assert.equal(load(copy(), { env }).code, 'ERR_NATIVE_UNAVAILABLE')
  })
  test('reads none', () => {
    const { read } = load(copy({ local: true }), {
      before: `
        const read = []
        // Node.js itself may look for what it wants to know, whatever it loads.
        const note = (key) => { if (!/[( ]node:/.test(new Error().stack.split('\\n')[3])) read.push(String(key)) }
        process.env = new Proxy({}, { get: (target, key) => note(key),
          has: (target, key) => { note(key); return false } })`,
      after: 'result.read = read'
    })
    assert.deepEqual(read, [])
  })
  test('starts no child process, and loads nothing that could', () => {
    for (const at of [copy({ local: true }), copy()]) {
      const { modules } = load(at, {
        after:
          'result.modules = process.moduleLoadList.filter((name) => ' +
          '/child_process|spawn_sync|process_wrap|cares/.test(name))'
      })
      assert.deepEqual(modules, [])
    }
  })
  test('leaves the settings of process.report as they were', () => {
    const { before: was, after: is } = load(copy({ local: true }), {
      before: 'process.report.excludeNetwork = false; const before = process.report.excludeNetwork',
      after: 'result.before = before; result.after = process.report.excludeNetwork'
    })
    assert.equal(is, was)
  })
})
