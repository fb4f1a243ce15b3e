// The operator's client, its typings' promises, and the command line, at real agents and as other users.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { entryPoint } from './support/child.mjs'
import { installFor, run, watch } from './support/command-line.mjs'
import { getIdentity, WorkloadApiClient, X509Source } from 'countersign'
import { ControlClient, verifyLog } from 'countersign/control'
import { startAgent } from 'countersign/agent'
import { untilWithin } from './support/until.mjs'

const until = untilWithin(20)

const uid = /** @type {() => number} */ (process.getuid)()
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-control-'))
fs.chmodSync(directory, 0o755)
after(() => fs.rmSync(directory, { recursive: true }))
let places = 0
const place = () => {
  const made = path.join(directory, String(++places))
  fs.mkdirSync(made)
  // Other users shall get through to the sockets in it.
  fs.chmodSync(made, 0o755)
  return made
}

const rules = Object.freeze([{ match: { uid }, identity: 'ME', spiffeId: 'spiffe://example.org/me' }])
const workloadApi = Object.freeze({ trustDomain: 'example.org' })

/** @param {import('node:test').TestContext} t @param {any} [config] */
async function agentFor(t, config) {
  const agent = await startAgent({ rules, control: true, ...config })
  t.after(() => agent.close())
  const client = new ControlClient({ socketPath: agent.controlSocketPath, timeout: 20_000 })
  t.after(() => client.close())
  return { agent, client }
}

/**
 * A server that says what it is told to.
 * @param {import('node:test').TestContext} t
 * @param {(socket: net.Socket, line: string) => void} answer
 */
async function serverFor(t, answer) {
  const socketPath = path.join(place(), 'c.sock')
  const sockets = new Set()
  const server = net
    .createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      let rest = ''
      socket.setEncoding('utf8').on('data', (piece) => {
        const lines = (rest + piece).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) answer(socket, line)
      })
    })
    .listen(socketPath)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return socketPath
}

describe('ControlClient', () => {
  test('reads the status of an older agent as that of a newer one', async (t) => {
    for (const name of ['takenBack', 'revokedUnrecorded']) {
      const socketPath = await serverFor(t, (socket, line) => {
        const { id } = JSON.parse(line)
        const auditLog = { path: '/a.jsonl', lost: 0, [name]: 7, failing: null }
        socket.write(`${JSON.stringify({ type: 'ok', id, running: true, alerts: [], auditLog })}\n`)
      })
      const client = new ControlClient({ socketPath })
      t.after(() => client.close())
      const expected = { path: '/a.jsonl', lost: 0, takenBack: 7, failing: undefined }
      assert.deepEqual((await client.status()).auditLog, expected)
    }
  })

  test('reads the alerts of an older agent as those of a newer one', async (t) => {
    for (const monitor of ['posture', 'self_audit']) {
      const socketPath = await serverFor(t, (socket, line) => {
        const { id } = JSON.parse(line)
        const alert = { timestamp: '2026-02-03T04:05:06Z', severity: 'LOW', monitor, message: 'CS-LOG-001: x' }
        socket.write(`${JSON.stringify({ type: 'ok', id, alerts: [alert], last: 1, run: 'r' })}\n`)
      })
      const client = new ControlClient({ socketPath })
      t.after(() => client.close())
      assert.deepEqual(
        (await client.alerts()).map((alert) => alert.monitor),
        ['self_audit']
      )
    }
  })

  test('asks everything, and gets values', async (t) => {
    const auditLog = path.join(place(), 'audit.jsonl')
    const { agent, client } = await agentFor(t, { workloadApi, auditLog })
    await client.ping()
    assert.equal((await getIdentity({ socketPath: agent.socketPath })).identity, 'ME')
    const workload = new WorkloadApiClient({ endpoint: agent.endpoint })
    await workload.fetchX509Svid()
    workload.close()
    await until(async () => (await client.status()).svids.length === 1, 'the SVID is known')
    const status = await client.status()
    assert.equal(status.running && status.vouching, true)
    assert.equal(status.answered.ok, 1)
    assert.equal(status.pid, process.pid)
    assert.ok(status.started instanceof Date && status.uptime >= 0)
    assert.deepEqual(
      status.svids.map(({ spiffeId, pid }) => [spiffeId, pid]),
      [['spiffe://example.org/me', process.pid]]
    )
    assert.ok(status.svids[0].expires.getTime() > Date.now())
    assert.deepEqual(status.callers.map(({ answer }) => answer).sort(), ['ME', 'spiffe://example.org/me'])
    assert.equal(status.workloadApi?.x509Svids, 1)
    assert.equal(status.auditLog?.path, auditLog)
    assert.equal(status.auditLog?.takenBack, 0)
    const alerts = await client.alerts({ limit: 1 })
    assert.equal(alerts.length, 1)
    assert.ok(alerts[0].timestamp instanceof Date)
    const report = await client.audit({ deep: true })
    assert.ok(
      report.findings.some(({ id }) => id === 'CS-RULE-004'),
      JSON.stringify(report)
    )
    assert.equal((await client.reloadPolicy()).rules, 1)
    assert.match(await client.metrics(), /^countersign_answers_total\{code="ok"\} 1$/m)
    await until(async () => (await client.status()).auditLog?.waiting === 0, 'all is written')
    const verified = await verifyLog(auditLog, { keys: [fs.readFileSync(`${auditLog}.pub`, 'utf8')] })
    assert.ok(verified.last >= 5 && verified.firstTime instanceof Date)
    await assert.rejects(verifyLog(auditLog, { keys: [Buffer.alloc(32, 1).toString('base64')] }), {
      code: 'ERR_INVALID_LOG'
    })
    await assert.rejects(verifyLog(`${auditLog}.absent`), { code: 'ERR_INVALID_LOG' })
  })

  test('a kill takes identities away at once, and a resume gives them back', async (t) => {
    const stateDir = place()
    const { agent, client } = await agentFor(t, { workloadApi, stateDir })
    const source = await X509Source.open({ endpoint: agent.endpoint })
    t.after(() => source.close())
    /** @type {any[]} */
    const heard = []
    agent.addEventListener('kill', ({ detail }) => heard.push(detail))
    assert.deepEqual(await client.kill({ reason: 'stolen' }), { persistent: true })
    await assert.rejects(getIdentity({ socketPath: agent.socketPath }), { code: 'ERR_DAEMON', daemonCode: 'E_KILLED' })
    await until(() => {
      try {
        return !source.svid()
      } catch {
        return true
      }
    }, 'the SVID is withdrawn')
    assert.equal((await client.status()).killSwitch?.reason, 'stolen')
    await until(() => heard.length === 1, 'the event')
    await agent.close()
    const again = await startAgent({ rules, control: true, stateDir })
    t.after(() => again.close())
    await assert.rejects(getIdentity({ socketPath: again.socketPath }), { daemonCode: 'E_KILLED' })
    const operator = new ControlClient({ socketPath: again.controlSocketPath })
    assert.deepEqual(await operator.resume(), { wasKilled: true })
    operator.close()
    assert.equal((await getIdentity({ socketPath: again.socketPath })).identity, 'ME')
  })

  test('a call that is given up does not put the others out of step', async (t) => {
    // Answers in order, late, with an id or without.
    for (const echo of [true, false]) {
      const socketPath = await serverFor(t, (socket, line) => {
        const { id, type } = JSON.parse(line)
        setTimeout(
          () =>
            socket.write(
              `${JSON.stringify({ type: 'ok', ...(echo ? { id } : {}), running: true, alerts: [], text: type })}\n`
            ),
          type === 'status' ? 100 : 0
        )
      })
      const client = new ControlClient({ socketPath })
      t.after(() => client.close())
      const leaving = new AbortController()
      const given = client.status({ signal: leaving.signal })
      const late = client.status({ timeout: 20 })
      setTimeout(() => leaving.abort(new Error('enough')), 10)
      await assert.rejects(given, { message: 'enough' })
      await assert.rejects(late, { code: 'ERR_TIMEOUT' })
      if (echo) assert.equal(await client.metrics(), 'metrics')
      else {
        // In order: the answer to the next question comes behind the late ones.
        await sleep(200)
        assert.equal(await client.metrics(), 'metrics')
      }
    }
  })

  test('every call has its own time, and closing ends them all', async (t) => {
    const socketPath = await serverFor(t, () => {})
    const client = new ControlClient({ socketPath })
    t.after(() => client.close())
    /** @type {(number | null)[]} */
    const ended = []
    const calls = [200, 30, null, 100].map((timeout) =>
      client.ping({ timeout }).catch((error) => {
        ended.push(timeout)
        return error
      })
    )
    await Promise.all([calls[0], calls[1], calls[3]])
    assert.deepEqual(ended, [30, 100, 200])
    assert.deepEqual(
      (await Promise.all([calls[1], calls[3], calls[0]])).map(({ code, timeout }) => [code, timeout]),
      [
        ['ERR_TIMEOUT', 30],
        ['ERR_TIMEOUT', 100],
        ['ERR_TIMEOUT', 200]
      ]
    )
    client.close()
    assert.equal((await calls[2]).code, 'ERR_CLOSED')
    // Also the one that has no connection yet.
    const early = new ControlClient({ socketPath })
    const pending = early.ping()
    early.close()
    await assert.rejects(pending, { code: 'ERR_CLOSED' })
  })

  test('what is no answer is an error of its own', async (t) => {
    let reply = ''
    const socketPath = await serverFor(t, (socket) => socket.write(reply))
    const client = new ControlClient({ socketPath, timeout: 5000 })
    t.after(() => client.close())
    for (const [text, expected] of /** @type {[string, any][]} */ ([
      ['\n', { code: 'ERR_EMPTY_REPLY' }],
      ['nonsense\n', { code: 'ERR_INVALID_JSON' }],
      ['{"type":"oK"}\n', { code: 'ERR_INVALID_JSON' }],
      ['[]\n', { code: 'ERR_INVALID_JSON' }],
      ['{"type":"ok"}\n', { code: 'ERR_MISSING_FIELD' }],
      ['{"type":"err","code":"E_X","message":"no"}\n', { code: 'ERR_DAEMON', daemonCode: 'E_X', daemonMessage: 'no' }],
      ['{"type":"err"}\n', { code: 'ERR_DAEMON', daemonCode: 'E_UNKNOWN' }]
    ])) {
      reply = text
      await assert.rejects(client.status(), expected, text)
    }
  })

  test('nobody there, a broken connection, a closed client, and what cannot be meant', async (t) => {
    const nowhere = new ControlClient({ socketPath: path.join(directory, 'absent.sock') })
    await assert.rejects(nowhere.ping(), { code: 'ERR_SOCKET_NOT_FOUND' })
    await assert.rejects(
      (async () => {
        for await (const alert of nowhere.subscribe()) assert.fail(String(alert))
      })(),
      { code: 'ERR_SOCKET_NOT_FOUND' }
    )
    const socketPath = await serverFor(t, (socket) => socket.destroy())
    const client = new ControlClient({ socketPath })
    await assert.rejects(client.ping(), { code: 'ERR_CONNECTION_FAILED' })
    client.close()
    await assert.rejects(client.ping(), { code: 'ERR_CLOSED' })
    for (const options of [{ socketPath: 7 }, { socketPath: '' }, { timeout: -1 }, { sockePath: 'x' }])
      assert.throws(() => new ControlClient(/** @type {any} */ (options)), { code: 'ERR_INVALID_ARGUMENT' })
    const { client: good } = await agentFor(t)
    for (const call of [
      () => good.alerts({ limit: -1 }),
      () => good.kill({ reason: /** @type {any} */ (7) }),
      () => good.audit({ deep: /** @type {any} */ ('yes') }),
      () => good.ping(/** @type {any} */ ({ tmeout: 1 }))
    ]) {
      await assert.rejects(call(), { code: 'ERR_INVALID_ARGUMENT' })
    }
    const impostor = new ControlClient({ socketPath: good.socketPath, expectServer: { uid: uid + 1 } })
    await assert.rejects(impostor.ping(), { code: 'ERR_UNTRUSTED_SERVER' })
    await assert.rejects(startAgent({ rules, control: /** @type {any} */ ({ readers: [-1] }) }), {
      code: 'ERR_INVALID_ARGUMENT'
    })
    await assert.rejects(
      startAgent({ rules, auditLog: path.join(directory, 'absent', '..', '..', '..', '..', '..', 'proc', 'x') }),
      { code: 'ERR_AGENT' }
    )
  })

  test('a waiting call keeps the process alive, and nothing else does', async (t) => {
    const { client } = await agentFor(t)
    /** @param {string} socketPath @param {string} does */
    const said = async (socketPath, does) => {
      const script = `const { ControlClient } = require(${JSON.stringify(entryPoint('countersign/control'))})
        const client = new ControlClient({ socketPath: ${JSON.stringify(socketPath)} })
        ${does}`
      const { status, stdout } = await run(['--eval', script], { command: [process.execPath] })
      return [status, stdout]
    }
    assert.deepEqual(
      await said(client.socketPath, `client.ping().then(() => { client.subscribe(); console.log('pong') })`),
      [0, 'pong\n']
    )
    // A question behind one that was given up, and is not answered yet.
    const slow = await serverFor(t, (socket, line) =>
      setTimeout(() => socket.write(`{"type":"ok","id":${JSON.parse(line).id}}\n`), 300)
    )
    assert.deepEqual(
      await said(slow, `client.ping({ timeout: 50 }).catch(() => client.ping()).then(() => console.log('pong'))`),
      [0, 'pong\n']
    )
    assert.deepEqual(await said(slow, `client.ping({ timeout: 50 }).catch(() => console.log('gave up'))`), [
      0,
      'gave up\n'
    ])
  })
})

describe('subscribe', () => {
  test('goes on where it was when the agent is another one', async (t) => {
    const socketPath = path.join(place(), 'control.sock')
    const first = await startAgent({ rules, control: { socketPath } })
    const client = new ControlClient({ socketPath, timeout: 20_000 })
    t.after(() => client.close())
    const subscription = client.subscribe()
    /** @type {any[]} */
    const heard = []
    const reading = (async () => {
      for await (const alert of subscription) heard.push(alert)
    })()
    const has = (/** @type {RegExp} */ pattern, from = 0) =>
      heard.slice(from).some(({ message }) => pattern.test(message))
    await until(() => {
      try {
        first.setRules([/** @type {any} */ ({ match: { uid }, identity: `N${heard.length}` })])
      } catch {}
      return has(/rules are in force/)
    }, 'a reload')
    await first.close()
    await until(() => has(/the agent stops/), 'the end')
    const before = heard.length
    const second = await startAgent({ rules, control: { socketPath } })
    t.after(() => second.close())
    await until(
      () => has(/the agent started/, before),
      'the start of the next, that happened before anybody could listen'
    )
    await client.kill({ reason: 'and on' })
    await until(() => has(/and on/, before), 'what happens then')
    subscription.close()
    await reading
  })

  test('ends with its loop, its signal, its client', async (t) => {
    const { client } = await agentFor(t)
    const say = () => client.kill({ reason: String(Math.random()) })
    const talking = setInterval(() => say().catch(() => {}), 20)
    t.after(() => clearInterval(talking))
    for await (const alert of client.subscribe({ after: 0 })) {
      assert.ok(alert.seq)
      break
    }
    const leaving = new AbortController()
    const reason = new Error('enough')
    await assert.rejects(
      (async () => {
        for await (const alert of client.subscribe({ signal: leaving.signal, after: 0 }))
          if (alert) leaving.abort(reason)
      })(),
      reason
    )
    const subscription = client.subscribe()
    const waiting = subscription.next()
    clearInterval(talking)
    client.close()
    await waiting
    assert.deepEqual(await subscription.next(), { done: true, value: undefined })
    assert.throws(() => client.subscribe(), { code: 'ERR_CLOSED' })
  })

  test('who reads slowly loses the oldest and is told', async (t) => {
    const timestamp = '2026-02-03T04:05:06.000000007Z'
    const alert = { type: 'alert', timestamp, severity: 'LOW', monitor: 'm', message: 'x' }
    const socketPath = await serverFor(t, (socket, line) => {
      socket.write(`${JSON.stringify({ type: 'ok', id: JSON.parse(line).id, run: 'r', last: 0 })}\n`)
      for (let seq = 1; seq <= 2000; seq++) socket.write(`${JSON.stringify({ ...alert, seq })}\n`)
    })
    const client = new ControlClient({ socketPath })
    t.after(() => client.close())
    let last = 0
    for await (const { seq } of client.subscribe()) {
      assert.equal(seq, last + 1, 'nothing is lost on this side')
      last += 1
      if (last % 500 === 0) await sleep(20)
      if (last === 2000) break
    }
  })
})

describe('the command line', () => {
  test('every verb, as text and as JSON', async (t) => {
    const { agent, client } = await agentFor(t, { auditLog: path.join(place(), 'audit.jsonl') })
    const env = { COUNTERSIGN_CONTROL_SOCKET: agent.controlSocketPath }
    assert.deepEqual(agent.env.COUNTERSIGN_CONTROL_SOCKET, agent.controlSocketPath)
    const text = async (/** @type {string[]} */ ...args) => {
      const done = await run(args, { env })
      assert.equal(done.status, 0, done.stderr)
      return done.stdout
    }
    const json = async (/** @type {string[]} */ ...args) => JSON.parse(await text(...args, '--json'))
    assert.match(await text('status'), /^vouching +yes$/m)
    assert.equal((await json('status')).running, true)
    assert.match(await text('kill', '--reason', 'a drill'), /countersign resume/)
    assert.match(await text('status'), /^kill switch +on since .*: a drill$/m)
    assert.deepEqual(await json('resume'), { killed: false, wasKilled: true })
    assert.equal((await json('reload')).rules, 1)
    await until(
      async () => (await json('alerts')).alerts.some((/** @type {any} */ { message }) => /a drill/.test(message)),
      'the alert'
    )
    assert.match(await text('alerts', '--limit', '50'), /a drill/)
    assert.match(await text('audit'), /^score \d+ of 100/)
    assert.ok((await json('audit', '--deep')).findings.length > 0)
    assert.equal((await run(['audit', '--threshold', '100'], { env })).status, 1)
    assert.match(await text('metrics'), /^# TYPE countersign_answers_total counter$/m)
    assert.match(await text('top', '--count', '2', '--interval', '10'), /^WHO +UID/m)
    assert.equal((await json('top', '--count', '1')).rules, 1)
    const follow = watch(['alerts', '--follow', '--json'], { env })
    await follow.until(() => follow.said.stdout.includes('a drill'), 'what was')
    await client.kill({ reason: 'and now' })
    await follow.until(() => follow.said.stdout.includes('and now'), 'what is')
    assert.equal((await follow.end('SIGINT')).status, 0)
    const log = String((await client.status()).auditLog?.path)
    await agent.close()
    assert.match(await text('log', 'verify', log, '--key', `${log}.pub`), /it is what was written/)
    const changed = fs.readFileSync(log, 'utf8').replace('a drill', 'A drill')
    fs.writeFileSync(log, changed)
    const broken = await run(['log', 'verify', log])
    assert.equal(broken.status, 1)
    assert.match(broken.stderr, /line \d+: its hash is not/)
    const gone = await run(['status', '--json'], { env })
    assert.equal(gone.status, 3)
    assert.equal(JSON.parse(gone.stdout).error.code, 'ERR_SOCKET_NOT_FOUND')
    for (const args of [
      ['alerts', '--limit', 'x'],
      ['top', '--interval', '0'],
      ['log', 'verify'],
      ['status', 'x'],
      ['audit', '--threshold', '101']
    ])
      assert.equal((await run(args, { env })).status, 2, args.join(' '))
  })

  test('top takes a terminal, and gives it back', async (t) => {
    const { agent } = await agentFor(t)
    const env = { COUNTERSIGN_CONTROL_SOCKET: agent.controlSocketPath, TERM: 'xterm' }
    for (const key of ['q', '\u0003']) {
      // A terminal of its own, whose keys are what is written here.
      const top = watch(
        [
          `${process.execPath} ${path.join(import.meta.dirname, '..', 'bin', 'countersign.js')} top --interval 50`,
          '/dev/null'
        ],
        { env, command: ['script', '--quiet', '--return', '--command'] }
      )
      await top.until(() => top.said.stdout.split('\u001b[H').length > 3, 'three looks')
      top.child.stdin.write(key)
      assert.deepEqual(await top.ended(), { status: 0, signal: null })
      assert.match(top.said.stdout, /^\u001b\[\?1049h.*\u001b\[\?1049l$/s)
      assert.match(top.said.stdout, /^WHO +UID/m)
    }
  })

  test('other users are refused what is not theirs', { skip: uid === 0 ? false : 'takes root' }, async (t) => {
    const [stranger, reader] = [4242, 4243]
    const socketPath = path.join(place(), 'control.sock')
    const { client } = await agentFor(t, { control: { socketPath, readers: [reader] } })
    const env = { COUNTERSIGN_CONTROL_SOCKET: socketPath }
    for (const user of [stranger, reader]) {
      const { command, remove } = installFor(user)
      t.after(remove)
      for (const [args, expected] of /** @type {[string[], number][]} */ ([
        [['status'], user === reader ? 0 : 4],
        [['alerts'], user === reader ? 0 : 4],
        [['metrics'], user === reader ? 0 : 4],
        [['audit'], user === reader ? 0 : 4],
        [['audit', '--fix'], 4],
        [['kill', '--reason', 'x'], 4],
        [['resume'], 4],
        [['reload'], 4]
      ])) {
        const { status, stderr } = await run(args, { env, uid: user, command, cwd: '/' })
        assert.equal(status, expected, `${user} ${args}: ${stderr}`)
        if (expected === 4) assert.match(stderr, /ERR_DAEMON/)
      }
    }
    const { killSwitch } = await client.status()
    assert.equal(killSwitch, undefined)
    await until(
      async () =>
        (await client.alerts()).some(({ monitor, message }) => monitor === 'control' && /E_DENIED/.test(message)),
      'the refusals are told of'
    )
  })

  test('the agent of the command line and of Rust alone answers operators', async (t) => {
    const home = place()
    const at = (/** @type {string} */ name) => path.join(home, name)
    fs.writeFileSync(at('rules.toml'), `[[rule]]\nidentity = "ME"\nmatch = { uid = ${uid} }\n`, { mode: 0o600 })
    const args = [
      'agent',
      '--json',
      '--rules',
      at('rules.toml'),
      '--socket',
      at('w.sock'),
      '--control-socket',
      at('c.sock'),
      '--audit-log',
      at('audit.jsonl'),
      '--log-sync',
      '--log-level',
      'off'
    ]
    const agent = watch(args)
    t.after(() => agent.child.kill('SIGKILL'))
    await agent.until(() => agent.said.stdout.includes('ready'), 'the agent')
    assert.equal(JSON.parse(agent.said.stdout).controlSocketPath, at('c.sock'))
    assert.equal((await getIdentity({ socketPath: at('w.sock') })).identity, 'ME')
    assert.equal((await run(['status', '--socket', at('c.sock')])).status, 0)
    assert.equal((await agent.end('SIGTERM')).status, 0)
    const { synced, last } = await verifyLog(at('audit.jsonl'))
    assert.equal(synced, last)
    assert.equal((await run(['agent', '--log-sync'])).status, 2)
  })
})
