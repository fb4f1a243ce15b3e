// What the package is on a system for which the addon is built without the rooms of Linux: the same JavaScript, on an
// addon from which their functions were taken. scripts/prebuild-check.js --windows runs the same script on a real one.
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './support/child.mjs'
import { run } from './support/command-line.mjs'
import { onTcp } from './support/on-tcp.cjs'
import { startTestAgent } from 'countersign/testing'

/** @param {string} folder */
function rustFiles(folder) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.rs')).map((name) => path.join(folder, name))
}

/** What the sources compile for Linux alone, by the names JavaScript has for it. */
function namesOfLinux() {
  const rooms = ['src', 'src/host'].flatMap((folder) => {
    const map = readFileSync(path.join(root, folder, folder === 'src' ? 'lib.rs' : 'mod.rs'), 'utf8')
    const ofLinux = map.matchAll(/^#\[cfg\(target_os = "linux"\)\]\n(?:pub )?mod (\w+);$/gm)
    return [...ofLinux].map(([, room]) => path.join(root, folder, room))
  })
  const names = rooms.flatMap((at) => {
    const files = existsSync(`${at}.rs`) ? [`${at}.rs`] : rustFiles(at)
    return files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^#\[napi.*\](?:\n(?:#|\/\/).*)*\npub (?:fn|struct) (\w+)/gm)].map(
        ([, name]) => name
      )
    )
  })
  return names.map((name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()))
}

test('what Linux alone has says so, and everything else works', async () => {
  const names = namesOfLinux()
  for (const name of ['NativeAgent', 'PolicySet', 'attach', 'identityStart', 'peerScratch', 'NativeTestCa'])
    assert.ok(names.includes(name), name)
  const addon = readdirSync(root).find((name) => name.endsWith('.node'))
  const directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-elsewhere-'))
  const agent = await startTestAgent({ identities: ['spiffe://example.org/billing'] })
  const relay = await onTcp(agent.endpoint)
  try {
    const to = path.join(directory, 'node_modules', 'countersign')
    mkdirSync(to, { recursive: true })
    for (const each of ['lib', 'index.js', 'package.json'])
      cpSync(path.join(root, each), path.join(to, each), { recursive: true })
    const taken = JSON.stringify(names)
    writeFileSync(path.join(to, String(addon)), '')
    writeFileSync(
      path.join(to, 'elsewhere.cjs'),
      `
      const native = require(${JSON.stringify(path.join(root, String(addon)))})
      const left = Object.fromEntries(Object.entries(native).filter(([name]) => !${taken}.includes(name)))
      require.cache[require.resolve('./${addon}')] = { exports: left, loaded: true }
    `
    )
    cpSync(path.join(root, '__test__', 'elsewhere-smoke.cjs'), path.join(directory, 'smoke.cjs'))
    const { status, stdout, stderr } = await run(
      ['--require', path.join(to, 'elsewhere.cjs'), path.join(directory, 'smoke.cjs'), relay.endpoint],
      { command: [process.execPath] }
    )
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout + stderr, /an SVID and a token over TCP, mutual https; 1\d calls say they need Linux/)
  } finally {
    relay.close()
    await agent.close()
    rmSync(directory, { recursive: true })
  }
})
