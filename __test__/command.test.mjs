// @ts-check
// The command line, as an operator types it, over a real agent.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { installFor } from './support/command-line.mjs'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const bin = path.join(root, 'bin', 'countersign.js')
const node = fs.realpathSync(process.execPath)
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-command-'))
const socket = path.join(directory, 'whoami.sock')
const rulesFile = path.join(directory, 'rules.toml')
const uid = /** @type {() => number} */ (process.getuid)()

const RULES = `
[[rule]]
identity = "OTHER"
match = { uid = ${uid + 1} }

[[rule]]
identity = "MINE"
match = { uid = ${uid}, exe = ${JSON.stringify(node)} }
idm_url = "https://auth.example.com"
config_url = "https://config.example.com"
token = "s3cret"

[[rule]]
identity = "NEVER"
match = { uid = ${uid}, exe = ${JSON.stringify(node)}, group = 0 }
`

/**
 * @param {string[]} args
 * @param {Record<string, string | undefined>} [env]
 */
function run(args, env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env }
  })
  return { status, stdout, stderr }
}

/** @param {string[]} args */
async function agent(args, env = {}) {
  const child = spawn(process.execPath, [bin, 'agent', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env }
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text
  })
  const line = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data').then(([text]) => text),
    once(child, 'exit').then(() => {
      throw new Error(`the agent ended: ${log}`)
    })
  ])
  return {
    child,
    line,
    log: () => log,
    end: async (/** @type {NodeJS.Signals} */ signal = 'SIGTERM') => {
      child.kill(signal)
      return (await once(child, 'exit'))[0]
    }
  }
}

describe('countersign', () => {
  test('tells what it can do, and refuses what it cannot', () => {
    assert.equal(run(['--help']).status, 0)
    assert.match(run(['--help']).stdout, /whoami .*\n.*agent/)
    assert.equal(run([]).status, 2)
    assert.equal(
      run(['--version']).stdout.trim(),
      JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version
    )
    for (const command of [
      'whoami',
      'agent',
      'check',
      'peer',
      'x509 fetch',
      'x509 watch',
      'jwt fetch',
      'jwt validate',
      'bundles',
      'bundle',
      'doctor'
    ]) {
      const { status, stdout } = run([...command.split(' '), '--help'])
      assert.equal(status, 0)
      assert.match(stdout, new RegExp(`countersign ${command} `))
      assert.match(stdout, /--json/)
    }
    for (const group of ['x509', 'jwt']) {
      assert.match(run([group, '--help']).stdout, /Commands:\n {2}fetch/)
      assert.equal(run([group]).status, 2)
      assert.equal(run(['help', group, 'fetch']).stdout, run([group, 'fetch', '-h']).stdout)
    }
    for (const args of [
      ['bogus'],
      ['toString'],
      ['whoami', '--bogus'],
      ['whoami', 'x'],
      ['whoami', '--timeout', 'soon'],
      ['whoami', '--runner', 'x'],
      ['whoami', '--runner', 'a=1', '--runner', 'a=2'],
      ['whoami', '--runner', 'uid=0'],
      ['whoami', '--socket', ''],
      ['peer'],
      ['peer', 'a', 'b'],
      ['check'],
      ['check', 'x', '--as-pid', 'me'],
      ['agent', '--bogus'],
      ['agent', '--socket'],
      ['agent', '--dev', '--rules', 'x'],
      ['x509', 'bogus'],
      ['x509', 'fetch', 'x'],
      ['x509', 'fetch', '--endpoint', '/run/agent.sock'],
      ['x509', 'fetch', '--hint', 'a', '--spiffe-id', 'b'],
      ['x509', 'watch', '--timeout', '0'],
      ['jwt', 'fetch'],
      ['jwt', 'fetch', '--audience', 'a', '--raw', '--show-token'],
      ['jwt', 'validate', 'x'],
      ['jwt', 'validate', '--audience', 'a', '--audience', 'b', 'x'],
      ['jwt', 'validate', '--audience', 'a', 'x', 'y'],
      ['bundles', 'a', 'b'],
      ['bundles', '--pem', '--jwt'],
      ['bundles', '--pem', '--jwks'],
      ['bundles', '--jwks', '--write', 'x'],
      ['doctor', 'x']
    ]) {
      const { status, stderr } = run(args)
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`)
      assert.match(stderr, /--help/)
    }
  })

  test('errors are JSON when JSON is asked for', () => {
    const { status, stdout, stderr } = run(['whoami', '--socket', '/nonexistent/socket', '--json'])
    assert.equal(status, 3)
    assert.equal(stderr, '')
    assert.equal(JSON.parse(stdout).error.code, 'ERR_SOCKET_NOT_FOUND')
    assert.equal(JSON.parse(run(['whoami', '--json', '--bogus']).stdout).error.code.startsWith('ERR_PARSE_ARGS'), true)
  })
})

describe('countersign with an agent', () => {
  /** @type {Awaited<ReturnType<typeof agent>>} */
  let running

  before(async () => {
    fs.writeFileSync(rulesFile, RULES, { mode: 0o600 })
    running = await agent(['--rules', rulesFile, '--socket', socket, '--json'])
    assert.deepEqual(JSON.parse(running.line), { ready: true, socketPath: socket, pid: running.child.pid })
  })

  after(async () => {
    assert.equal(await running.end('SIGINT'), 0)
    assert.equal(fs.existsSync(socket), false, 'the socket is removed')
    fs.rmSync(directory, { recursive: true })
    assert.doesNotMatch(running.log(), /s3cret/)
  })

  test('whoami prints every field and hides the token', () => {
    const { status, stdout } = run([
      'whoami',
      '--socket',
      socket,
      '--runner',
      'zone=eu',
      '--runner',
      'instance_id=18446744073709551615',
      '--runner',
      'tags=["a"]'
    ])
    assert.equal(status, 0)
    assert.match(stdout, /^identity +MINE$/m)
    assert.match(stdout, /^idm url +https:\/\/auth.example.com$/m)
    assert.match(stdout, /^instance +18446744073709551615$/m)
    assert.match(stdout, /^zone +eu$/m)
    assert.match(stdout, /^tags +\["a"\]$/m)
    assert.doesNotMatch(stdout, /s3cret/)
    assert.match(run(['whoami', '--show-token'], { WHOAMI_SOCKET: socket }).stdout, /^token +s3cret$/m)
  })

  test('whoami --json keeps integers exact', () => {
    const { stdout } = run(['whoami', '--socket', socket, '--json', '--runner', 'instance_id=18446744073709551615'])
    assert.match(stdout, /"instance_id":18446744073709551615[,}]/)
    const { identity, token, runner } = JSON.parse(stdout)
    assert.equal(identity, 'MINE')
    assert.equal(token, '[redacted]')
    assert.equal(runner.uid, uid)
  })

  test('what a caller put into its runner does not steer the terminal', () => {
    const { stdout } = run(['whoami', '--socket', socket, '--runner', 'x=\u001b[31mred\u202e'])
    assert.doesNotMatch(stdout, /\u001b|\u202e/)
    assert.match(stdout, /\\u001b\[31mred/)
  })

  test('a server that is not the expected one: exit code 4', () => {
    const { status, stderr } = run(['whoami', '--socket', socket, '--expect-uid', String(uid + 1)])
    assert.equal(status, 4)
    assert.match(stderr, /ERR_UNTRUSTED_SERVER/)
    assert.equal(run(['whoami', '--socket', socket, '--expect-uid', String(uid), '--expect-exe', node]).status, 0)
  })

  test('peer tells who listens', () => {
    const { stdout } = run(['peer', socket, '--json', '--sha256'])
    const peer = JSON.parse(stdout)
    assert.equal(peer.pid, running.child.pid)
    assert.equal(peer.exe, node)
    assert.match(peer.exeSha256, /^[0-9a-f]{64}$/)
    assert.match(run(['peer', socket]).stdout, new RegExp(`^pid +${running.child.pid}$`, 'm'))
    assert.equal(run(['peer', path.join(directory, 'none')]).status, 3)
  })

  test('check explains the rules, and which one a process gets', () => {
    const plain = run(['check', rulesFile])
    assert.equal(plain.status, 0)
    assert.match(plain.stdout, /3\. line 13: NEVER for uid/)
    assert.match(plain.stdout, /warning: rule 3 \(line 13\) is never reached/)
    const mine = run(['check', rulesFile, '--as-pid', String(running.child.pid)])
    assert.equal(mine.status, 0)
    assert.match(mine.stdout, new RegExp(`1\\. line 2: OTHER: no: uid: expected ${uid + 1}`))
    assert.match(mine.stdout, /gets rule 2/)
    const { verdicts, winner } = JSON.parse(
      run(['check', rulesFile, '--json', '--as-pid', String(running.child.pid)]).stdout
    )
    assert.equal(winner, 2)
    assert.equal(verdicts[0].denied.field, 'uid')
    const shell = spawn('sleep', ['30'])
    try {
      const stranger = run(['check', rulesFile, '--as-pid', String(shell.pid)])
      assert.equal(stranger.status, 4)
      assert.match(stranger.stdout, /gets no rule: E_NO_MATCH/)
    } finally {
      shell.kill()
    }
    assert.equal(run(['check', rulesFile, '--as-pid', '4194305']).status, 1)
  })

  test('check says where a file is broken', () => {
    const broken = path.join(directory, 'broken.toml')
    fs.writeFileSync(broken, '[[rule]]\nidentity = "X"\nmatch = { uidd = 0 }\n', { mode: 0o600 })
    const { status, stderr } = run(['check', broken])
    assert.equal(status, 1)
    assert.match(stderr, /broken\.toml:3:\d+: .*uidd/)
    const { error } = JSON.parse(run(['check', broken, '--json']).stdout)
    assert.equal(error.line, 3)
    assert.equal(run(['agent', '--rules', broken, '--socket', path.join(directory, 'x.sock')]).status, 1)
    assert.equal(run(['check', path.join(directory, 'none.toml')]).status, 1)
  })

  test('a second agent does not take the socket of a live one', () => {
    const { status, stderr } = run(['agent', '--rules', rulesFile, '--socket', socket])
    assert.equal(status, 1)
    assert.match(stderr, /listening on it/)
    assert.equal(run(['whoami', '--socket', socket]).status, 0)
  })

  test('SIGHUP reads the rules again', async () => {
    const before = running.log().length
    fs.writeFileSync(rulesFile, RULES.replace('"MINE"', '"RENAMED"'), { mode: 0o600 })
    running.child.kill('SIGHUP')
    while (!running.log().slice(before).includes('reloaded')) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.match(run(['whoami', '--socket', socket]).stdout, /RENAMED/)
    fs.writeFileSync(rulesFile, RULES, { mode: 0o600 })
  })
})

test('agent --dev vouches for this user and this node, without root', {
  skip: uid !== 0 && 'SKIPPED: agent --dev as another user: not root'
}, async (t) => {
  const { home, command, remove } = installFor(1001)
  const asUser = ['--reuid', '1001', '--regid', '1001', '--clear-groups', ...command]
  const child = spawn('setpriv', [...asUser, 'agent', '--dev'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, TMPDIR: home }
  })
  t.after(() => {
    child.kill('SIGKILL')
    remove()
  })
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  const found = /^export WHOAMI_SOCKET='?([^'\n]+)'?$/m.exec(line)
  assert.ok(found, line)
  const endpoint = /^export SPIFFE_ENDPOINT_SOCKET='?([^'\n]+)'?$/m.exec(line)
  assert.ok(endpoint, line)
  const env = { PATH: process.env.PATH, WHOAMI_SOCKET: found[1], SPIFFE_ENDPOINT_SOCKET: endpoint[1] }
  const mine = spawnSync('setpriv', [...asUser, 'whoami', '--json'], { encoding: 'utf8', env })
  assert.equal(JSON.parse(mine.stdout).identity, 'DEV', mine.stdout + mine.stderr)
  const bundle = spawnSync('setpriv', [...asUser, 'bundle', 'show', '--json'], { encoding: 'utf8', env })
  assert.equal(JSON.parse(bundle.stdout).trustDomain, 'example.org', bundle.stdout + bundle.stderr)
  assert.equal(fs.statSync(path.dirname(found[1])).mode & 0o777, 0o700)
  const other = spawnSync('setpriv', ['--reuid', '1002', '--regid', '1002', '--clear-groups', ...command, 'whoami'], {
    encoding: 'utf8',
    env
  })
  assert.equal(other.status, 3, 'another user does not even get to the socket')
  assert.equal(
    spawnSync('setpriv', ['--reuid', '1002', '--regid', '1002', '--clear-groups', ...command, 'bundle', 'show'], {
      encoding: 'utf8',
      env
    }).status,
    3
  )
  child.kill('SIGTERM')
  assert.equal((await once(child, 'exit'))[0], 0)
  assert.equal(fs.existsSync(found[1]), false)
})

test('npm start does what it says', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'scripts', 'start.js')], {
    encoding: 'utf8'
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /I am EXAMPLE_SERVICE/)
  assert.match(stdout, /E_NO_MATCH/)
  assert.match(stdout, /ERR_UNTRUSTED_SERVER/)
  assert.match(stdout, /0 bytes of it/)
  assert.match(stdout, /spiffe:\/\/example\.org\/dev/)
  assert.match(stdout, /the token is good: spiffe:\/\/example\.org\/dev/)
  assert.doesNotMatch(stdout + stderr, /not-a-real-token/)
})
