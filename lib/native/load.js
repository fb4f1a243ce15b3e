'use strict'
/**
 * Finds and loads the native addon. A library that people trust with identities must not load whatever an environment
 * variable points to, nor start a child process to find out where it runs: there is one table, and nothing else.
 */

/**
 * What the addon must say of itself: the JavaScript of one release never runs on the native code of another. It is the
 * version in package.json, which would take as long to read as half of the rest of this file; a test compares them.
 */
const EXPECTED = '0.1.0'

/** @typedef {typeof import('../../types/native')} Native */

/**
 * Static requests, so that bundlers and packagers see them.
 * @type {Record<string, { file: string, package: string, local: () => Native, installed: () => Native }>}
 */
const ADDONS = {
  'linux-x64-gnu': {
    file: 'countersign.linux-x64-gnu.node',
    package: '@countersign/linux-x64-gnu',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.linux-x64-gnu.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/linux-x64-gnu')
  },
  'linux-arm64-gnu': {
    file: 'countersign.linux-arm64-gnu.node',
    package: '@countersign/linux-arm64-gnu',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.linux-arm64-gnu.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/linux-arm64-gnu')
  },
  'linux-x64-musl': {
    file: 'countersign.linux-x64-musl.node',
    package: '@countersign/linux-x64-musl',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.linux-x64-musl.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/linux-x64-musl')
  },
  'linux-arm64-musl': {
    file: 'countersign.linux-arm64-musl.node',
    package: '@countersign/linux-arm64-musl',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.linux-arm64-musl.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/linux-arm64-musl')
  },
  'darwin-x64': {
    file: 'countersign.darwin-x64.node',
    package: '@countersign/darwin-x64',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.darwin-x64.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/darwin-x64')
  },
  'darwin-arm64': {
    file: 'countersign.darwin-arm64.node',
    package: '@countersign/darwin-arm64',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.darwin-arm64.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/darwin-arm64')
  },
  'win32-x64': {
    file: 'countersign.win32-x64-msvc.node',
    package: '@countersign/win32-x64',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.win32-x64-msvc.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/win32-x64')
  },
  'win32-arm64': {
    file: 'countersign.win32-arm64-msvc.node',
    package: '@countersign/win32-arm64',
    // @ts-ignore: present only in a checkout
    local: () => require('../../countersign.win32-arm64-msvc.node'),
    // @ts-ignore: an optional dependency
    installed: () => require('@countersign/win32-arm64')
  }
}

/**
 * The C library, as good as always: musl's loader has one place, and where it is not there the other one runs. A system
 * that keeps it elsewhere is asked again when this guess does not load.
 */
function likelyLibc() {
  if (process.platform !== 'linux') return undefined
  const arch = { x64: 'x86_64', arm64: 'aarch64' }[String(process.arch)]
  try {
    if (arch && !require('node:fs').existsSync(`/lib/ld-musl-${arch}.so.1`)) return 'gnu'
  } catch {
    // Under `node --permission` it is not for us to know.
  }
  return libc()
}

/** The C library: the loader this very program asks for says it, at a hundredth of the price of a process report. */
function libc() {
  if (process.platform !== 'linux') return undefined
  const { openSync, readSync, closeSync } = require('node:fs')
  try {
    const fd = openSync('/proc/self/exe', 'r')
    try {
      const head = Buffer.alloc(4096)
      const text = head.toString('latin1', 0, readSync(fd, head, 0, head.length, 0))
      if (text.includes('/ld-musl-')) return 'musl'
      if (text.includes('/ld-linux')) return 'gnu'
    } finally {
      closeSync(fd)
    }
  } catch {
    // No /proc, or not for us: the report knows as well.
  }
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork: boolean } | undefined} */ (process.report)
  if (!report) return 'gnu'
  // It would otherwise look up the names of open sockets' peers.
  const before = report.excludeNetwork
  report.excludeNetwork = true
  try {
    const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (report.getReport())
    return header.glibcVersionRuntime ? 'gnu' : 'musl'
  } finally {
    report.excludeNetwork = before
  }
}

function load() {
  /** @type {Error[]} */
  const attempts = []
  const likely = likelyLibc()
  const native = attempt(likely, attempts)
  if (native) return native
  const c = libc()
  const other = c === likely ? undefined : attempt(c, attempts)
  if (other) return other
  throw unavailable(c, attempts)
}

/** @param {string | undefined} c */
const targetOf = (c) => [process.platform, process.arch, c].filter(Boolean).join('-')

/**
 * @param {string | undefined} c
 * @param {Error[]} attempts gets what went wrong
 */
function attempt(c, attempts) {
  const addon = ADDONS[targetOf(c)]
  for (const [name, request] of addon
    ? /** @type {const} */ ([
        [`./${addon.file}`, addon.local],
        [addon.package, addon.installed]
      ])
    : []) {
    try {
      const native = request()
      const found = native.version()
      if (found === EXPECTED) return native
      attempts.push(new Error(`${name}: is version ${found}, ${EXPECTED} is needed`))
    } catch (error) {
      attempts.push(new Error(`${name}: ${/** @type {Error} */ (error).message.split('\n')[0]}`, { cause: error }))
    }
  }
  return undefined
}

/**
 * What to do where it is the host that lets no addon in, or has no way to its files.
 * @param {Error[]} attempts
 */
function hostHint(attempts) {
  if (attempts.some(({ cause }) => /** @type {any} */ (cause)?.code === 'ERR_DLOPEN_DISABLED')) {
    return 'this Node.js runs without addons: add --allow-addons to its --permission, or take --no-addons away'
  }
  if (require('node:v8').startupSnapshot?.isBuildingSnapshot()) {
    return (
      'native code cannot be part of a startup snapshot: require countersign in the function given to ' +
      'setDeserializeMainFunction'
    )
  }
  let sea = false
  try {
    sea = require('node:sea').isSea()
  } catch {
    // Not in this runtime.
  }
  if (sea)
    return (
      'a single executable has no node_modules: keep it beside, and load with ' +
      "require('node:module').createRequire(process.execPath)('countersign')"
    )
  return undefined
}

/**
 * @param {string | undefined} c
 * @param {Error[]} attempts
 */
function unavailable(c, attempts) {
  const { CountersignError } = require('./errors')
  const target = targetOf(c)
  const addon = ADDONS[target]
  const libcPart = c ? `, libc ${c}` : ''
  const where = `platform ${process.platform}, arch ${process.arch}${libcPart}, Node.js ${process.version}`
  const lines = [`countersign: no native addon for ${target} (${where})`]
  for (const attempt of attempts) lines.push(`  tried ${attempt.message}`)
  const host = hostHint(attempts)
  if (host) {
    lines.push(`  fix: ${host}`)
  } else if (addon) {
    lines.push(`  fix: npm install --include=optional ${addon.package}@${EXPECTED}`)
    lines.push(
      '       (a lock file made on another system may lack it: delete node_modules and package-lock.json, install ' +
        'again)'
    )
    lines.push('       in a checkout: npm run build')
  } else {
    lines.push(`  supported: ${Object.keys(ADDONS).join(', ')}`)
  }
  return new CountersignError('ERR_NATIVE_UNAVAILABLE', lines.join('\n'), {
    cause: new AggregateError(attempts, 'every attempt to load the native addon failed')
  })
}

const native = load()

/**
 * A part of the addon that is compiled for Linux alone, where it is not taken for granted.
 * @template {keyof Native} Name
 * @param {Name} name
 * @param {string} what it is for
 * @returns {Native[Name]}
 */
function linuxOnly(name, what) {
  const part = native[name]
  if (part !== undefined) return part
  const { CountersignError } = require('./errors')
  throw new CountersignError('ERR_UNSUPPORTED_PLATFORM', `${what} needs Linux, and this is ${process.platform}`)
}

module.exports = { native, linuxOnly }
