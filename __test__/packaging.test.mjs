// The units of the agent: what systemd says of them, and that an agent with no more powers than they leave it does its
// work.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { root } from './support/child.mjs'

const unit = path.join(root, 'packaging', 'systemd', 'countersign-agent.service')
const text = readFileSync(unit, 'utf8')
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0
const asRoot =
  process.getuid?.() === 0 && process.platform === 'linux' && spawnSync('setpriv', ['--version']).status === 0

/** @type {string} */
let directory
before(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-units-'))
  chmodSync(directory, 0o755)
})
after(() => rmSync(directory, { recursive: true }))

describe('the units', { skip: hasSystemd ? false : 'no systemd-analyze' }, () => {
  test('leave little open, says systemd-analyze security', (t) => {
    const { stdout, stderr } = spawnSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' })
    const [, score] = /Overall exposure level for .*: ([\d.]+)/.exec(stdout) ?? assert.fail(stdout + stderr)
    t.diagnostic(`exposure ${score} of 10`)
    assert.ok(Number(score) <= 2.2, `exposure ${score}: 2.2 is allowed`)
  })
  test('say nothing that systemd does not know', () => {
    const { stderr } = spawnSync(
      'systemd-analyze',
      [
        'verify',
        unit,
        ...['whoami', 'countersign-workload', 'countersign-control'].map((name) =>
          path.join(root, 'packaging', 'systemd', `${name}.socket`)
        )
      ],
      { encoding: 'utf8' }
    )
    assert.doesNotMatch(stderr, /packaging\/systemd.*(Unknown|Failed to parse|ignoring)/)
  })
})

/**
 * What an agent with these powers says to a process of another user whose executable the rule names.
 * @param {string} powers
 */
async function answer(powers) {
  const node = path.join(directory, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
  const rules = path.join(directory, 'rules.toml')
  writeFileSync(rules, `[[rule]]\nidentity = "BILLING"\nmatch = { uid = 65534, exe = "${node}" }\n`, { mode: 0o600 })
  const socket = path.join(directory, `${powers.length}.sock`)
  const agent = spawn(
    'setpriv',
    [
      '--bounding-set',
      `-all${powers}`,
      '--inh-caps',
      '-all',
      '--no-new-privs',
      process.execPath,
      path.join(root, 'bin', 'countersign.js'),
      'agent',
      '--rules',
      rules,
      '--socket',
      socket,
      '--json'
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] }
  )
  let said = ''
  agent.stderr.on('data', (chunk) => {
    said += chunk
  })
  try {
    await new Promise((resolve, reject) => {
      agent.stdout.once('data', resolve)
      agent.once('exit', () => reject(new Error(said)))
    })
    const script = `const socket = require('node:net').connect(${JSON.stringify(socket)}); let all = ''
      socket.on('data', (chunk) => { all += chunk }).on('end', () => process.stdout.write(all)).end('{"runner":{}}')`
    const asker = spawn('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', node, '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let all = ''
    asker.stdout.on('data', (chunk) => {
      all += chunk
    })
    await new Promise((resolve) => asker.once('close', resolve))
    return JSON.parse(all)
  } finally {
    agent.kill()
    await new Promise((resolve) => agent.once('close', resolve))
  }
}

describe('with the powers of the unit', { skip: asRoot ? false : 'needs root and setpriv' }, () => {
  const powers =
    /^CapabilityBoundingSet=(.*)$/m
      .exec(text)?.[1]
      .split(' ')
      .map((name) => `,+${name.replace('CAP_', '').toLowerCase()}`)
      .join('') ?? ''
  test('an agent tells processes of other users who they are', async () => {
    const { status, identity } = await answer(powers)
    assert.deepEqual([status, identity], ['ok', 'BILLING'])
  })
  test('and without them it tells nobody', async () => assert.equal((await answer('')).status, 'error'))
})
