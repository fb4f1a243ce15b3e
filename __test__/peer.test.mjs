// Who is at the other end of a local socket.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import countersign from 'countersign'
import loader from '../lib/native/load.js'
import { certificate } from './support/certificate.mjs'
import { socketPair } from './support/socket-pair.mjs'

const { getPeerCredentials, getPeerProcess, authorizePeer } = countersign
const uid = /** @type {() => number} */ (process.geteuid)()
const gid = /** @type {() => number} */ (process.getegid)()
const exe = readlinkSync('/proc/self/exe')
const root = uid === 0
if (!root) console.log('SKIPPED: peers of other users: needs root')

/** @type {string} */
let directory
before(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-'))
})
after(() => rmSync(directory, { recursive: true }))

let sockets = 0

/** Both ends of a connection within this process. @param {import('node:test').TestContext} t */
const pair = (t) => socketPair(t, path.join(directory, `${++sockets}.sock`))
/**
 * The server's end of a connection that another process opened, as somebody else perhaps.
 * @param {import('node:test').TestContext} t
 * @param {string[]} [as]
 */
async function visited(t, as = []) {
  // Not read from: Node closes a socket as soon as it reads the end of it.
  const listener = net.createServer({ pauseOnConnect: true }).listen(path.join(directory, `${++sockets}.sock`))
  await once(listener, 'listening')
  execFileSync('chmod', ['777', directory, String(listener.address())])
  const child = spawn(
    as[0] ?? process.execPath,
    [
      ...as.slice(1),
      ...(as.length ? [process.execPath] : []),
      '--eval',
      `require('node:net').connect(${JSON.stringify(listener.address())}).resume()`
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] }
  )
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${child.spawnargs[0]} could not run ${process.execPath} (is it out of reach for other users?)`)
  })
  failed.catch(() => {})
  const [socket] = await Promise.race([once(listener, 'connection'), failed])
  t.after(() => {
    child.kill('SIGKILL')
    socket.destroy()
    listener.close()
  })
  return { socket, child }
}

/** @param {() => unknown} call @param {string} code */
function throwsTyped(call, code) {
  assert.throws(call, (/** @type {any} */ error) => {
    assert.equal(error.code, code, error.stack)
    assert.ok(countersign.CountersignError.is(error))
    return true
  })
}

/** All three functions must agree on what is not a peer. @param {any} target @param {string} code */
function noPeer(target, code) {
  throwsTyped(() => getPeerCredentials(target), code)
  throwsTyped(() => getPeerProcess(target), code)
  throwsTyped(() => authorizePeer(target, { uid }), code)
  throwsTyped(() => authorizePeer(target, () => true), code)
}

/** This process's own supplementary groups (process.getgroups adds the primary one). */
const supplementary = () =>
  /** @type {RegExpMatchArray} */ (readFileSync('/proc/self/status', 'utf8').match(/^Groups:[ \t]*(.*)$/m))[1]
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
/** @param {countersign.PeerProcess | countersign.PeerCredentials} peer */
const ours = ({ pid, uid, gid }) =>
  assert.deepEqual([pid, uid, gid], [process.pid, process.geteuid?.(), process.getegid?.()])

describe('a peer', () => {
  test('of a net.Socket, from both sides, and of its descriptor', async (t) => {
    const { client, server } = await pair(t)
    for (const target of [client, server, /** @type {any} */ (client)._handle.fd]) {
      ours(getPeerCredentials(target))
      ours(getPeerProcess(target))
      ours(authorizePeer(target, { uid, exe }))
    }
    assert.deepEqual(getPeerCredentials(server).groups, supplementary())
  })
  test('of an http request', async () => {
    const server = http
      .createServer((request, response) => response.end(JSON.stringify(getPeerCredentials(request.socket))))
      .listen(path.join(directory, 'http.sock'))
    await once(server, 'listening')
    const body = await new Promise((resolve, reject) =>
      http
        .get({ socketPath: path.join(directory, 'http.sock') }, async (response) => {
          ours(getPeerCredentials(response.socket))
          resolve(JSON.parse(Buffer.concat(await response.toArray()).toString()))
        })
        .on('error', reject)
    )
    ours(body)
    server.close()
  })
  test('of a TLS connection over a Unix socket, from both sides', async () => {
    const { key, cert } = certificate()
    const at = path.join(directory, 'tls.sock')
    const server = tls.createServer({ key, cert }).listen(at)
    await once(server, 'listening')
    const accepted = once(server, 'secureConnection')
    const client = tls.connect({ path: at, ca: cert, servername: 'localhost' })
    await once(client, 'secureConnect')
    const [socket] = await accepted
    for (const end of [client, socket]) {
      ours(getPeerCredentials(end))
      assert.equal(getPeerProcess(end).exe, exe)
    }
    // Laid over a socket that is there already.
    const plain = net.connect(at)
    const laid = tls.connect({ socket: plain, ca: cert, servername: 'localhost' })
    await once(laid, 'secureConnect')
    ours(getPeerCredentials(laid))
    client.destroy()
    socket.destroy()
    laid.destroy()
    server.close()
    noPeer(client, 'ERR_CLOSED')
  })
  test('is told with all its facts', async (t) => {
    const { server } = await pair(t)
    const peer = getPeerProcess(server, { sha256: true })
    assert.equal(peer.exe, exe)
    assert.equal(peer.exeDoubt, undefined)
    assert.equal(peer.exeSha256, createHash('sha256').update(readFileSync('/proc/self/exe')).digest('hex'))
    assert.equal(peer.process, readFileSync('/proc/self/comm', 'utf8').trimEnd())
    assert.equal(
      peer.cgroup,
      readFileSync('/proc/self/cgroup', 'utf8')
        .split('\n')
        .find((line) => line.startsWith('0::'))
        ?.slice(3)
    )
    const started = Date.now() - process.uptime() * 1000
    assert.ok(
      peer.startTime && Math.abs(peer.startTime.getTime() - started) < 2000,
      `${peer.startTime} is not ${new Date(started)}`
    )
    assert.equal(getPeerProcess(server).exeSha256, undefined)
    assert.ok(Object.isFrozen(peer) && Object.isFrozen(peer.groups) && Object.isFrozen(getPeerCredentials(server)))
    for (const options of [null, 7, { sha265: true }, { sha256: 1 }])
      throwsTyped(() => getPeerProcess(server, /** @type {any} */ (options)), 'ERR_INVALID_ARGUMENT')
  })
  test('that has ended: its credentials stay true, its process is gone', async (t) => {
    const { socket, child } = await visited(t)
    assert.equal(getPeerProcess(socket).pid, child.pid)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(getPeerCredentials(socket).pid, child.pid)
    throwsTyped(() => getPeerProcess(socket), 'ERR_PEER_GONE')
    throwsTyped(() => authorizePeer(socket, { exe }), 'ERR_PEER_GONE')
  })
  test('of another user', { skip: !root }, async (t) => {
    const { socket, child } = await visited(t, ['setpriv', '--reuid', '1001', '--regid', '1002', '--clear-groups'])
    const { pid, uid, gid, groups } = getPeerCredentials(socket)
    assert.deepEqual([pid, uid, gid, groups], [child.pid, 1001, 1002, []])
    assert.equal(getPeerProcess(socket).exe, exe)
    throwsTyped(() => authorizePeer(socket, { uid: 0 }), 'ERR_PEER_DENIED')
  })
  test('with groups, and with more of them than fit', { skip: !root }, async (t) => {
    for (const count of [1, 63, 64, 65, 300]) {
      const groups = Array.from({ length: count }, (_, index) => 5000 + index)
      const { socket } = await visited(t, ['setpriv', '--groups', groups.join(',')])
      assert.deepEqual(getPeerCredentials(socket).groups, groups)
      assert.deepEqual(getPeerProcess(socket).groups, groups)
      authorizePeer(socket, { group: 4999 + count })
      throwsTyped(() => authorizePeer(socket, { group: 5000 + count }), 'ERR_PEER_DENIED')
    }
    const { client } = await pair(t)
    assert.deepEqual(getPeerCredentials(client).groups, supplementary(), 'nothing is left of the peer before')
  })
})

describe('no peer', () => {
  test('a socket that is closed', async (t) => {
    const { client, server } = await pair(t)
    client.destroy()
    noPeer(client, 'ERR_CLOSED')
    server.destroy()
    noPeer(server, 'ERR_CLOSED')
    await once(server, 'close')
    noPeer(server, 'ERR_CLOSED')
  })
  test('a socket that is not connected, or not yet', async () => {
    noPeer(new net.Socket(), 'ERR_CLOSED')
    const failing = net.connect(path.join(directory, 'missing.sock'))
    noPeer(failing, 'ERR_CLOSED')
    await once(failing, 'error')
    noPeer(failing, 'ERR_CLOSED')
  })
  test('a TCP connection, from both sides', async (t) => {
    const listener = net.createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const client = net.connect(/** @type {net.AddressInfo} */ (listener.address()).port, '127.0.0.1')
    const [server] = await once(listener, 'connection')
    if (client.connecting) await once(client, 'connect')
    noPeer(client, 'ERR_NOT_A_UNIX_SOCKET')
    noPeer(server, 'ERR_NOT_A_UNIX_SOCKET')
    noPeer(/** @type {any} */ (listener)._handle.fd, 'ERR_NOT_A_UNIX_SOCKET')
    t.after(() => {
      client.destroy()
      server.destroy()
      listener.close()
    })
  })
  test('a server that listens', async (t) => {
    const { listener } = await pair(t)
    noPeer(listener, 'ERR_NOT_A_UNIX_SOCKET')
    noPeer(/** @type {any} */ (listener)._handle.fd, 'ERR_NOT_A_UNIX_SOCKET')
  })
  test('a pipe, a file, a directory, a device', async () => {
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
    // Node gives children sockets for pipes; a real one comes from a shell.
    execFileSync('sh', [
      '-c',
      `echo | "${process.execPath}" --eval 'try { require(process.argv[1]).getPeerCredentials(0) } catch ` +
        `(error) { process.exit(error.code === "ERR_NOT_A_UNIX_SOCKET" ? 0 : 1) }' ` +
        `"${path.join(import.meta.dirname, '..')}"`
    ])
    child.stdin.end()
    for (const file of ['/etc/passwd', directory, '/dev/null']) {
      const fd = openSync(file, 'r')
      noPeer(fd, 'ERR_NOT_A_UNIX_SOCKET')
      closeSync(fd)
    }
  })
  test('a descriptor that is not open', () => noPeer(9999, 'ERR_CLOSED'))
  test('a number that is no descriptor', () => {
    for (const fd of [-1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 32 + 3]) noPeer(fd, 'ERR_INVALID_ARGUMENT')
  })
  test('anything else', () => {
    for (const target of [undefined, null, '3', 3n, {}, [], () => 3, Symbol('x'), true, new URL('unix:/x')])
      noPeer(target, 'ERR_INVALID_ARGUMENT')
  })
  test('a request instead of its socket: the message says so', async () => {
    assert.throws(() => getPeerCredentials(/** @type {any} */ (new http.IncomingMessage(new net.Socket()))), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /req\.socket/
    })
  })
  test('the caller is named in the stack', () => {
    function serveTheCustomer() {
      return getPeerCredentials(9999)
    }
    assert.throws(serveTheCustomer, (/** @type {any} */ error) => error.stack.includes('serveTheCustomer'))
  })
})

describe('a policy', () => {
  test('holds the peer against every field', async (t) => {
    const { socket, child } = await visited(t)
    const { cgroup, process: name, exeSha256 } = getPeerProcess(socket, { sha256: true })
    const wrong = {
      uid: uid + 1,
      gid: gid + 1,
      pid: /** @type {number} */ (child.pid) + 1,
      exe: '/usr/lib/acme/acmed',
      exeSha256: '0'.repeat(64),
      cgroup: '/no/such/group',
      group: 4_000_000,
      unit: 'no-such.service',
      process: 'no-such'
    }
    const right = { uid, gid, pid: child.pid, exe, exeSha256, cgroup, group: gid, process: name }
    assert.equal(authorizePeer(socket, /** @type {any} */ (right)).pid, child.pid)
    for (const field of /** @type {(keyof typeof wrong)[]} */ (Object.keys(wrong))) {
      if (field in right && field !== 'process')
        authorizePeer(socket, /** @type {any} */ ({ [field]: /** @type {any} */ (right)[field] }))
      assert.throws(
        () => authorizePeer(socket, /** @type {any} */ ({ uid, [field]: wrong[field] })),
        (/** @type {any} */ error) => {
          assert.equal(error.code, 'ERR_PEER_DENIED', error.stack)
          assert.equal(error.field, field)
          assert.equal(error.expected, String(wrong[field]))
          assert.equal(typeof error.actual, 'string')
          assert.equal(error.peer.pid, child.pid)
          assert.ok(error.message.includes(field) && error.message.includes(String(wrong[field])), error.message)
          return true
        }
      )
    }
    authorizePeer(socket, { process: /** @type {string} */ (name), allowSpoofable: true })
    authorizePeer(socket, { exe: `${path.dirname(exe)}/*` })
    throwsTyped(() => authorizePeer(socket, { exe: `${path.dirname(exe)}x/*` }), 'ERR_PEER_DENIED')
    if (gid === 0) authorizePeer(socket, { group: 'root' })
  })
  test('a list: one that holds is enough; what failed in each is told', async (t) => {
    const { server } = await pair(t)
    assert.equal(authorizePeer(server, [{ uid: uid + 1 }, { uid }]).pid, process.pid)
    assert.equal(authorizePeer(server, Object.freeze([Object.freeze({ uid })])).pid, process.pid)
    assert.throws(
      () => authorizePeer(server, [{ uid: uid + 1 }, { uid, gid: gid + 1 }]),
      (/** @type {any} */ error) => {
        assert.deepEqual(error.denials, [
          { field: 'uid', expected: String(uid + 1), actual: String(uid) },
          { field: 'gid', expected: String(gid + 1), actual: String(gid) }
        ])
        assert.equal(error.field, 'uid')
        return true
      }
    )
  })
  test('a function: only true is yes', async (t) => {
    const { server } = await pair(t)
    /** @type {any} */
    let seen
    assert.equal(
      authorizePeer(server, (peer) => {
        seen = peer
        return true
      }),
      seen
    )
    assert.equal(seen.exe, exe)
    for (const value of [false, 1, 'yes', {}, undefined, null, Promise.resolve(true)]) {
      assert.throws(() => authorizePeer(server, /** @type {any} */ (() => value)), {
        code: 'ERR_PEER_DENIED',
        field: 'function'
      })
    }
    const cause = new Error('trap')
    assert.throws(
      () =>
        authorizePeer(server, () => {
          throw cause
        }),
      { code: 'ERR_PEER_DENIED', cause }
    )
  })
  test('that is misspelt or empty never accepts', async (t) => {
    const { server } = await pair(t)
    for (const policy of [
      undefined,
      null,
      {},
      [],
      [{}],
      { uids: uid },
      { UID: uid },
      { uid: String(uid) },
      { uid: undefined },
      { uid: null },
      { process: 'node' },
      { allowSpoofable: true },
      'root',
      0,
      [[{ uid }]],
      new Set([{ uid }])
    ]) {
      throwsTyped(() => authorizePeer(server, /** @type {any} */ (policy)), 'ERR_INVALID_ARGUMENT')
    }
  })
})

describe('the addon reads policies exactly', () => {
  const PolicySet = loader.linuxOnly('PolicySet', 'a test')
  /** What is wrong with a policy, if anything. @param {object} policy */
  const flaw = (policy) => {
    const set = PolicySet.parse(JSON.stringify([policy]))
    return 'failure' in set ? set.failure.message : undefined
  }

  test('what it does not understand is never no condition', () => {
    for (const policy of [
      { uid, exeSha255: 'x' },
      { uid, exe_sha256: 'ab'.repeat(32) },
      { uid, exe: null },
      { uid, exe: 1 },
      { uid, unit: ['x.service'] },
      { uid, group: -1 },
      { uid: 2 ** 32 },
      { uid: '0' },
      { uid, process: 'x', allowSpoofable: 'yes' },
      []
    ]) {
      assert.equal(typeof flaw(policy), 'string', JSON.stringify(policy))
    }
  })

  test('every member of a policy is read', () => {
    const all = { uid, gid, group: gid, pid: 1, process: 'x', exe: '/a/*', cgroup: '/c', unit: 'u.service' }
    assert.equal(flaw({ ...all, exeSha256: 'ab'.repeat(32), allowSpoofable: true }), undefined)
    assert.equal(flaw({ exeSha256: 'x' }), 'exeSha256: "x" is not 64 hexadecimal digits')
  })
})
