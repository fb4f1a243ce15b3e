// countersign doctor: every way in which a setup can be wrong, made so, and what it says about it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { installFor, run, watch } from './support/command-line.mjs'
import { freePort } from './support/free-port.mjs'
import { idsWithoutName } from './support/ids.mjs'
import {
  domain,
  field,
  framed,
  healthy,
  jwtBundlesResponse,
  jwtResponse,
  startStub,
  strings,
  witResponse,
  x509BundlesResponse,
  x509Response
} from './support/workload-stub.mjs'

const root = process.getuid?.() === 0
const needsRoot = { skip: !root && 'SKIPPED: another user: needs root' }
const home = domain('example.org')
const other = domain('other.org')
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-doctor-'))
fs.chmodSync(directory, 0o755)
const at = (/** @type {string[]} */ ...names) => path.join(directory, ...names)
let count = 0
/** @type {(() => unknown)[]} */
const leave = []
after(async () => {
  for (const end of leave.reverse()) await end()
  fs.rmSync(directory, { recursive: true, force: true })
})

/** @typedef {{ check: string, status: string, message: string, advice?: string[], [fact: string]: any }} Finding */

/**
 * What the doctor finds, as JSON and, for its exit code, as text.
 * @param {string | undefined} endpoint
 * @param {{ args?: string[], env?: Record<string, string> } & import('./support/command-line.mjs').How} [how]
 */
async function findings(endpoint, { args = [], ...how } = {}) {
  const given = endpoint === undefined ? [] : ['--endpoint', endpoint]
  const { stdout, stderr, status } = await run(['doctor', '--json', '--timeout', '1500', ...given, ...args], how)
  assert.equal(stderr, '')
  const { ok, exitCode, findings } = JSON.parse(stdout)
  assert.deepEqual([ok, exitCode], [status === 0, status], stdout)
  assert.doesNotMatch(stdout, /eyJ|PRIVATE KEY|BEGIN/)
  return {
    status,
    all: /** @type {Finding[]} */ (findings),
    /** @param {string} check @param {string} [state] @returns {Finding} */
    the: (check, state) =>
      findings.find(
        (/** @type {Finding} */ one) => one.check === check && (state === undefined || one.status === state)
      ) ?? assert.fail(`no ${check} in ${stdout}`),
    failed: findings
      .filter((/** @type {Finding} */ { status }) => status === 'fail')
      .map((/** @type {Finding} */ { check }) => check)
  }
}

/** @param {(call: import('./support/workload-stub.mjs').Call) => void} answer */
async function stub(answer) {
  const stub = await startStub(answer, { socket: at(`${++count}.sock`) })
  leave.push(() => stub.kill())
  return stub
}

/** @param {(socket: net.Socket) => void} serve @param {string | number} [where] */
async function server(serve, where = at(`${++count}.sock`)) {
  const server = net.createServer((socket) => serve(socket.on('error', () => {})))
  await new Promise((resolve) =>
    server.listen(typeof where === 'number' ? { port: where, host: '127.0.0.1' } : where, () => resolve(undefined))
  )
  leave.push(() => server.close())
  const address = /** @type {any} */ (server.address())
  return typeof where === 'number' ? `tcp://127.0.0.1:${address.port}` : `unix:${where}`
}

/**
 * A healthy answer to everything but some methods.
 * @param {Record<string, (call: import('./support/workload-stub.mjs').Call) => void>} but
 */
const but = (but) => (/** @type {import('./support/workload-stub.mjs').Call} */ call) =>
  (but[call.method] ?? healthy(home))(call)
/** @param {any[]} svids */
const offers = (...svids) => but({ FetchX509SVID: (call) => call.send(x509Response({ svids })) })

describe('a setup that is right', () => {
  test('all is well, in words and as JSON', async () => {
    const { endpoint, calls } = await stub(
      but({
        FetchX509SVID: (call) =>
          call.send(
            x509Response({
              svids: [home.svid('/billing', { hint: 'internal' }), home.svid('/shop')],
              federated: { 'spiffe://other.org': other.ca.der },
              crl: [Buffer.from('crl')]
            })
          ),
        FetchX509Bundles: (call) =>
          call.send(x509BundlesResponse({ 'spiffe://example.org': home.ca.der, 'spiffe://other.org': other.ca.der })),
        FetchJWTBundles: (call) =>
          call.send(jwtBundlesResponse({ 'spiffe://example.org': home.jwks, 'spiffe://other.org': '{"keys":[]}' })),
        FetchWITSVID: (call) =>
          call.send(witResponse([{ id: 'spiffe://example.org/billing', token: 'x.y.z', key: '{}' }]))
      })
    )
    const { status, all, the, failed } = await findings(undefined, { env: { SPIFFE_ENDPOINT_SOCKET: endpoint } })
    assert.equal(status, 0, JSON.stringify(failed))
    assert.deepEqual(
      [...new Set(all.map(({ check }) => check))],
      [
        'process',
        'endpoint',
        'socket',
        'connect',
        'listener',
        'http2',
        'x509',
        'svid',
        'bundles',
        'jwtBundles',
        'jwt',
        'clock',
        'wit'
      ]
    )
    assert.deepEqual([the('endpoint').source, the('endpoint').raw], ['$SPIFFE_ENDPOINT_SOCKET', endpoint])
    assert.deepEqual([the('listener').pid, the('listener').exe], [process.pid, fs.realpathSync(process.execPath)])
    assert.deepEqual(
      [the('x509').svids, the('x509').trustDomains, the('x509').crls],
      [2, ['example.org', 'other.org'], 1]
    )
    assert.deepEqual(
      [the('svid').spiffeId, the('svid').hint, the('svid').percentLeft],
      ['spiffe://example.org/billing', 'internal', 100]
    )
    assert.deepEqual(
      all.filter(({ check }) => check === 'bundles').map(({ trustDomain, authorities }) => [trustDomain, authorities]),
      [
        ['example.org', 1],
        ['other.org', 1]
      ]
    )
    // Nobody of it can be judged by its tokens.
    assert.deepEqual(
      all
        .filter(({ check }) => check === 'jwtBundles')
        .map(({ trustDomain, keys, status }) => [trustDomain, keys, status]),
      [
        ['example.org', 1, 'ok'],
        ['other.org', 0, 'warn']
      ]
    )
    assert.equal(the('jwt').spiffeId, 'spiffe://example.org/billing')
    assert.deepEqual([the('wit').status, the('wit').supported], ['ok', true])
    assert.deepEqual(strings(calls.find(({ method }) => method === 'FetchJWTSVID')?.request ?? assert.fail())[1], [
      'countersign-doctor'
    ])
    const { status: again, stdout } = await run(['doctor', '--endpoint', endpoint])
    assert.equal(again, 0)
    assert.match(stdout, /^ok {4}endpoint {4}unix:\/.*, from --endpoint$/m)
    assert.match(
      stdout,
      new RegExp(
        '^ok {4}svid {8}spiffe://example\\.org/billing \\(hint "internal"\\), the default: 100 % of 30 d left, ' +
          'expires .* \\(in \\d+ d( \\d+ h)?\\)$',
        'm'
      )
    )
    assert.doesNotMatch(stdout, /eyJ|PRIVATE|^fail/m)
  })

  test('over TCP too, where nobody can tell who listens', async () => {
    const { socket } = await stub(healthy(home))
    const endpoint = await server(
      (client) =>
        client
          .pipe(net.connect(socket))
          .on('error', () => {})
          .pipe(client),
      0
    )
    const { status, the } = await findings(endpoint)
    assert.equal(status, 0)
    assert.equal(the('listener').status, 'note')
    assert.deepEqual([the('wit').status, the('wit').supported], ['note', false])
  })
})

describe('the endpoint', () => {
  test('that is not there, or empty', async () => {
    const none = await findings(undefined)
    assert.deepEqual([none.status, none.failed, none.the('endpoint').rule], [1, ['endpoint'], 'not_set'])
    assert.match(none.the('endpoint').message, /SPIFFE_ENDPOINT_SOCKET is not set/)
    assert.ok(none.the('endpoint').advice?.length)
    assert.match(
      (await findings(undefined, { env: { SPIFFE_ENDPOINT_SOCKET: '' } })).the('endpoint').message,
      /is empty/
    )
    assert.match((await findings('')).the('endpoint').message, /--endpoint is empty/)
  })

  test('that cannot be read: which rule, and what was meant', async () => {
    const { socket } = await stub(healthy(home))
    const { dir, base } = path.parse(socket)
    const long = `unix:/${'a'.repeat(200)}`
    for (const [raw, rule, meant, cwd] of /** @type {[string, string, string | undefined, string?][]} */ ([
      [socket, 'unknown_scheme', `unix:${socket}`],
      [`"unix:${socket}"`, 'unknown_scheme', `unix:${socket}`],
      [` unix:${socket}\n`, 'unknown_scheme', `unix:${socket}`],
      [`UNIX:${socket}`, 'unknown_scheme', `unix:${socket}`],
      [`file://${socket}`, 'unknown_scheme', `unix:${socket}`],
      [`unix://${socket.slice(1)}`, 'unix_authority', `unix:${socket}`],
      [base, 'unknown_scheme', `unix:${socket}`, dir],
      [`unix:${base}`, 'relative_path', `unix:${socket}`, dir],
      [`unix:./${base}`, 'relative_path', `unix:${socket}`, dir],
      [`unix:${socket}?x=1`, 'query_or_fragment', `unix:${socket}`],
      ['tcp://localhost:8081', 'not_an_address', 'tcp://127.0.0.1:8081'],
      ['tcp:127.0.0.1:8081', 'missing_authority', 'tcp://127.0.0.1:8081'],
      ['127.0.0.1:8081', 'unknown_scheme', 'tcp://127.0.0.1:8081'],
      ['http://127.0.0.1:8081/x', 'unknown_scheme', 'tcp://127.0.0.1:8081'],
      ['tcp://127.0.0.1', 'invalid_port', undefined],
      ['tcp://agent.example.org:8081', 'not_an_address', undefined],
      ['unix:', 'missing_path', undefined],
      [long, 'path_too_long', undefined],
      ['npipe:spire-agent', 'unsupported_here', undefined]
    ])) {
      const { status, failed, the } = await findings(raw, { cwd })
      const found = the('endpoint')
      assert.deepEqual([status, failed, found.rule, found.meant, found.raw], [1, ['endpoint'], rule, meant, raw], raw)
      if (meant) assert.match(found.advice?.join() ?? '', new RegExp(meant.replaceAll('.', '\\.')))
    }
  })

  test('that can be read and is rarely meant', async () => {
    for (const odd of ['unix:/run/agent.sock\n', 'unix:/run/a%20b', 'unix:/run/$NAME', 'unix:/run/"x"']) {
      const { the } = await findings(odd)
      assert.ok(the('endpoint', 'warn').advice?.length, odd)
    }
  })
})

describe('the way to the socket', () => {
  test('missing, dangling, round in circles, not a directory', async () => {
    fs.mkdirSync(at('here'))
    fs.symlinkSync('nowhere/agent.sock', at('here', 'dangling'))
    fs.symlinkSync('round', at('here', 'round'))
    fs.writeFileSync(at('here', 'file'), '')
    const beside = await server(() => {}, at('here', 'beside.sock'))
    for (const [where, problem, message, advice] of /** @type {[string, string, RegExp, RegExp?][]} */ ([
      [
        at('here', 'agent.sock'),
        'missing',
        /there is no .*here\/agent\.sock$/,
        /there is a socket at .*here\/beside\.sock/
      ],
      [at('no', 'way', 'agent.sock'), 'missing', /there is no .*\/no on the way to /, /has not been started/],
      [
        at('here', 'dangling'),
        'missing',
        /dangling is a link to nowhere\/agent\.sock, and there is no .*here\/nowhere/
      ],
      [at('here', 'round'), 'loop', /round in circles/],
      [at('here', 'file', 'agent.sock'), 'not_a_directory', /here\/file on the way to .* is no directory/],
      [at('here', 'file'), 'not_a_socket', /is a plain file, not a socket/],
      [at('here'), 'not_a_socket', /is a directory, not a socket/, /there is a socket at .*here\/beside\.sock/],
      ['/dev/null', 'not_a_socket', /\/dev\/null is no socket/]
    ])) {
      const { status, failed, the } = await findings(`unix:${where}`)
      assert.deepEqual([status, failed, the('socket').problem], [3, ['socket'], problem], where)
      assert.match(the('socket').message, message)
      if (advice) assert.match(the('socket').advice?.join('\n') ?? '', advice)
    }
    assert.ok(beside)
  })

  test('through links, each of them told', async () => {
    const { socket } = await stub(healthy(home))
    fs.symlinkSync(directory, at('absolute'))
    fs.symlinkSync(`absolute/${path.basename(socket)}`, at('relative.sock'))
    const { status, the } = await findings(`unix:${at('relative.sock')}`)
    assert.equal(status, 0)
    assert.match(the('socket').message, new RegExp(`relative\\.sock \\(that is ${socket}\\)`))
    assert.deepEqual(
      the('socket')
        .steps.filter((/** @type {any} */ { kind }) => kind === 'link')
        .map((/** @type {any} */ { target }) => target),
      [`absolute/${path.basename(socket)}`, directory]
    )
    // However it is written.
    assert.equal((await findings(`unix:////${socket}`)).status, 0)
  })

  test('a directory where anybody may put up another agent', async () => {
    fs.mkdirSync(at('open'))
    fs.chmodSync(at('open'), 0o777)
    const stub = await startStub(healthy(home), { socket: at('open', 'agent.sock') })
    leave.push(() => stub.kill())
    const { status, the } = await findings(stub.endpoint)
    assert.equal(status, 0)
    assert.match(the('socket', 'warn').message, /everybody may write to .*open \(mode 0777\)/)
    fs.chmodSync(at('open'), 0o1777)
    assert.equal((await findings(stub.endpoint)).the('socket').status, 'ok')
  })
})

describe('as another user', needsRoot, () => {
  /** @type {ReturnType<typeof installFor>} */
  let installed
  // Names would show in the messages and among the selectors.
  let [user, group, supplementary, member] = [0, 0, 0, 0]
  before(() => {
    ;[user] = idsWithoutName('both', 1)
    ;[group, supplementary, member] = idsWithoutName('group', 3)
    installed = installFor(user)
    leave.push(() => installed.remove())
  })

  test('a directory that must not be passed, a socket that must not be written to', async () => {
    fs.mkdirSync(at('closed'))
    const { endpoint, kill, socket } = await startStub(healthy(home), { socket: at('closed', 'agent.sock') })
    leave.push(kill)
    const as = { uid: user, groups: [supplementary, member], command: installed.command, cwd: '/' }
    fs.chmodSync(at('closed'), 0o700)
    fs.chmodSync(socket, 0o777)
    const closed = await findings(endpoint, as)
    assert.deepEqual([closed.status, closed.failed, closed.the('socket').problem], [3, ['socket'], 'forbidden'])
    assert.match(
      closed.the('socket').message,
      new RegExp(
        `^uid ${user}, gid ${user}, groups ${supplementary} ${member} may not pass .*closed on the way to .*: ` +
          'mode 0700, owner 0:0$'
      )
    )
    fs.chmodSync(at('closed'), 0o755)
    fs.chmodSync(socket, 0o755)
    const readOnly = await findings(endpoint, as)
    assert.deepEqual([readOnly.status, readOnly.failed, readOnly.the('socket').problem], [3, ['socket'], 'forbidden'])
    assert.match(
      readOnly.the('socket').message,
      new RegExp(`has mode 0755, owner 0:0: uid ${user}.* may not write to it`)
    )
    fs.chownSync(socket, 0, member)
    fs.chmodSync(socket, 0o770)
    const { status, the } = await findings(endpoint, as)
    assert.equal(status, 0, 'by its group')
    // The kernel says who listens; to look at its program takes more.
    assert.equal(the('listener').uid, 0)
  })

  test('not registered: what we are, as an agent sees it', async () => {
    const { endpoint, socket } = await stub((call) => call.end(7, 'no identity issued'))
    fs.chmodSync(socket, 0o777)
    const { status, failed, the } = await findings(endpoint, {
      uid: user,
      gid: group,
      groups: [supplementary, 0],
      command: installed.command,
      cwd: '/'
    })
    assert.deepEqual([status, failed], [4, ['x509']])
    const { selectors, registration, advice, code, grpcCode } = the('x509')
    assert.deepEqual([code, grpcCode], ['ERR_NO_IDENTITY', 'PERMISSION_DENIED'])
    const sha256 = createHash('sha256').update(fs.readFileSync(installed.exe)).digest('hex')
    assert.deepEqual(
      selectors.sort(),
      [
        `unix:uid:${user}`,
        `unix:gid:${group}`,
        `unix:supplementary_gid:${supplementary}`,
        'unix:supplementary_gid:0',
        'unix:supplementary_group:root',
        `unix:path:${installed.exe}`,
        `unix:sha256:${sha256}`
      ].sort()
    )
    assert.equal(
      registration,
      'spire-server entry create -parentID spiffe://TRUST_DOMAIN/AGENT ' +
        `-spiffeID spiffe://TRUST_DOMAIN/WORKLOAD -selector unix:uid:${user}`
    )
    assert.ok(advice?.some((line) => line.trim() === registration))
  })
})

describe('in namespaces of our own', {
  skip:
    spawnSync('unshare', ['-Ur', '-pf', '--mount-proc', 'true']).status !== 0 &&
    'SKIPPED: namespaces: they cannot be made here'
}, () => {
  const doctor = [process.execPath, path.join(import.meta.dirname, '..', 'bin', 'countersign.js')]

  test('users: ids as they are outside, where the agent is', async () => {
    const { endpoint, socket } = await stub((call) => call.end(7, 'no identity issued'))
    fs.chmodSync(socket, 0o777)
    const { status, the } = await findings(endpoint, {
      command: ['unshare', '--map-user=1234', '--map-group=77', ...doctor]
    })
    assert.equal(status, 4)
    const [uid, gid] = [process.getuid?.(), process.getgid?.()]
    assert.deepEqual([the('process').ownUserNamespace, the('process').uid, the('process').gid], [true, uid, gid])
    assert.deepEqual(the('x509').selectors.slice(0, 2), [`unix:uid:${uid}`, `unix:gid:${gid}`])
    assert.match(the('x509').advice?.join('\n') ?? '', /in a user namespace: the ids above are those outside of it/)
  })

  test('processes: nobody can be told who listens outside', async () => {
    const { endpoint } = await stub(healthy(home))
    const { status, the } = await findings(endpoint, {
      command: ['unshare', ...(root ? [] : ['-Ur']), '-pf', '--mount-proc', ...doctor]
    })
    assert.equal(status, 0)
    assert.deepEqual(
      [the('process').ownPidNamespace, the('process').pid, the('listener').status, the('listener').pid],
      [true, 1, 'note', undefined]
    )
    assert.match(the('listener').message, /^uid \d+, gid \d+; its pid cannot be seen from here$/)
  })
})

describe('whoever listens', () => {
  test('nobody: the socket is left over', async () => {
    const socket = at('stale.sock')
    await run(
      [
        '-e',
        'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))',
        socket
      ],
      { command: [process.execPath] }
    )
    assert.ok(fs.statSync(socket).isSocket())
    const { status, failed, the } = await findings(`unix:${socket}`)
    assert.deepEqual([status, failed, the('connect').code], [3, ['connect'], 'ECONNREFUSED'])
    assert.match(the('connect').message, /nobody listens there/)
    assert.equal((await findings(`tcp://127.0.0.1:${await freePort()}`)).the('connect').code, 'ECONNREFUSED')
  })

  test('somebody who does not take connections any more', async () => {
    const socket = at('stopped.sock')
    const stopped = watch(
      [
        '-e',
        'require("net").createServer().listen({ path: process.argv[1], backlog: 1 }, ' +
          '() => { console.log("up"); process.kill(process.pid, "SIGSTOP") })',
        socket
      ],
      { command: [process.execPath] }
    )
    leave.push(() => stopped.end('SIGKILL'))
    await stopped.until(() => stopped.said.stdout.includes('up'), 'the server')
    for (let full = false; !full; ) {
      full = await new Promise((resolve) => {
        const client = net.connect(socket, () => resolve(false)).on('error', () => resolve(true))
        leave.push(() => client.destroy())
      })
    }
    const { status, the } = await findings(`unix:${socket}`)
    assert.deepEqual([status, the('connect').code], [3, 'EAGAIN'])
    assert.match(the('connect').message, /its queue is full/)
  })

  test('somebody else', async () => {
    const agent = watch(['agent', '--dev', '--json'])
    leave.push(() => agent.end())
    await agent.until(() => agent.said.stdout.endsWith('\n'), 'the agent')
    for (const [endpoint, message] of /** @type {[string, RegExp][]} */ ([
      [await server((socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')), /HTTP\/1\.1/],
      [await server((socket) => socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 10]))), /it wants TLS/],
      [await server((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')), /something else/],
      [await server((socket) => socket.end()), /hangs up without a word/],
      [await server((socket) => socket.destroy()), /hangs up without a word/],
      [await server(() => {}), /says nothing for 1500 ms/],
      [`unix:${JSON.parse(agent.said.stdout).socketPath}`, /in JSON/]
    ])) {
      const { status, failed, the } = await findings(endpoint)
      assert.deepEqual([status, failed], [1, ['http2']], String(message))
      assert.match(the('http2').message, message)
      assert.ok(the('http2').advice?.length)
    }
  })
})

describe('what it answers', () => {
  test('each code, and what it usually means', async () => {
    for (const [code, said, exit, advice] of /** @type {[number, string, number, RegExp][]} */ ([
      [3, 'security header missing from request', 1, /workload\.spiffe\.io was sent and did not arrive: a proxy/],
      [3, 'whatever', 1, /a proxy in between/],
      [4, 'context deadline exceeded', 1, /took the agent too long/],
      [7, 'no identity issued', 4, /spire-server entry create/],
      [8, 'too many', 1, /asked too often/],
      [13, 'attestation failed', 1, /look into its log/],
      [14, 'rate limit', 1, /limits how often it is asked, is still starting/],
      [16, 'who are you', 1, /never does, so a proxy/],
      [2, 'eh', 1, /hardly a Workload API/],
      [12, 'unknown service SpiffeWorkloadAPI', 1, /no such method.*admin socket/],
      [9, 'odd', 1, /agent's log/]
    ])) {
      const { endpoint, calls } = await stub((call) => call.end(code, said))
      const { status, failed, the } = await findings(endpoint)
      assert.deepEqual([status, failed], [exit, ['x509']], said)
      assert.equal(the('x509').grpcMessage, said)
      assert.match(the('x509').advice?.join('\n') ?? '', advice)
      // What one method says the others would say too.
      assert.deepEqual(
        calls.map(({ method }) => method),
        ['FetchX509SVID']
      )
    }
  })

  test('silence, an end in the middle, and HTTP of another kind', async () => {
    const answers =
      /** @type {[(call: import('./support/workload-stub.mjs').Call) => void, number, string, RegExp][]} */ ([
        [() => {}, 1, 'ERR_TIMEOUT', /does not answer/],
        [(call) => call.stream.session?.destroy(), 3, 'ERR_CONNECTION_FAILED', /connection broke/],
        [
          (call) => call.stream.respond({ ':status': 404 }, { endStream: true }),
          1,
          'ERR_WORKLOAD_API',
          /an HTTP server or a proxy answers/
        ],
        [
          (call) => call.stream.respond({ ':status': 403 }, { endStream: true }),
          4,
          'ERR_NO_IDENTITY',
          /an HTTP server or a proxy answers/
        ],
        [
          (call) => {
            call.stream.respond({ ':status': 200, 'content-type': 'text/html' })
            call.stream.end('hello')
          },
          1,
          'ERR_WORKLOAD_API',
          /hardly a Workload API/
        ],
        [(call) => call.raw(Buffer.from('<html>')), 1, 'ERR_INVALID_RESPONSE', /breaks the rules/],
        [(call) => call.raw(framed(field(1, ''))), 1, 'ERR_INVALID_RESPONSE', /breaks the rules/],
        [
          (call) => call.raw(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])),
          1,
          'ERR_RESPONSE_TOO_LARGE',
          /narrow their selectors/
        ]
      ])
    for (const [answer, exit, code, advice] of answers) {
      const { endpoint } = await stub(answer)
      const { status, failed, the } = await findings(endpoint)
      const { code: found, advice: given = [] } = the('x509')
      assert.deepEqual([failed, found], [['x509'], code])
      assert.match(given.join('\n'), advice)
      // An identity that was denied by somebody who is no agent is not a matter of registration.
      assert.equal(status, code === 'ERR_NO_IDENTITY' ? 1 : exit)
    }
  })

  test('one profile may be there without the others', async () => {
    const { endpoint } = await stub(
      but({ FetchX509SVID: (call) => call.end(12, 'method not found'), FetchX509Bundles: (call) => call.end(12) })
    )
    const { status, failed, the } = await findings(endpoint)
    assert.deepEqual([status, failed], [1, ['x509', 'bundles']])
    assert.equal(the('jwt').status, 'ok')
    const { endpoint: without } = await stub(
      but({ FetchJWTSVID: (call) => call.end(14, 'could not fetch JWT-SVID'), FetchJWTBundles: (call) => call.end(12) })
    )
    assert.deepEqual((await findings(without)).failed, ['jwtBundles', 'jwt'])
  })
})

describe('SVIDs and the clock', () => {
  test('old ones, late ones, early ones', async () => {
    const expired = await stub(offers(home.svid('/late', { from: -100, until: -10 })))
    const early = await stub(offers(home.svid('/early', { from: 100, until: 1000 })))
    for (const [{ endpoint }, reason, advice] of /** @type {const} */ ([
      [expired, 'expired', /cut off from its server.*or the clock here is ahead/],
      [early, 'not_yet_valid', /clock here is behind/]
    ])) {
      const { status, the } = await findings(endpoint)
      assert.equal(status, 1)
      assert.deepEqual([the('x509').rule, the('x509').ignored[0].reason], ['nothing_usable', reason])
      assert.match(the('x509').advice?.join('\n') ?? '', advice)
    }
    const { endpoint } = await stub(
      offers(
        home.svid('/overdue', { from: -80, until: 20 }),
        home.svid('/late', { from: -100, until: -10 }),
        home.svid('/fine', { from: -10, until: 100 })
      )
    )
    const { status, the, all } = await findings(endpoint)
    assert.equal(status, 0, 'there are warnings')
    assert.deepEqual(
      all.filter(({ check }) => check === 'svid').map(({ spiffeId, status }) => [spiffeId, status]),
      [
        ['spiffe://example.org/overdue', 'warn'],
        ['spiffe://example.org/fine', 'ok']
      ]
    )
    assert.match(the('svid', 'warn').advice?.join() ?? '', /cut off from its server/)
    assert.equal(the('ignored').reason, 'expired')
  })

  test('a token that was issued in the future', async () => {
    const ahead = (/** @type {number} */ seconds) =>
      but({
        FetchJWTSVID: (call) => {
          const now = Date.now
          Date.now = () => now() + seconds * 1000
          try {
            call.send(jwtResponse([home.token('/billing', strings(call.request)[1])]))
          } finally {
            Date.now = now
          }
          call.end()
        }
      })
    const little = await findings((await stub(ahead(4))).endpoint)
    assert.equal(little.status, 0)
    assert.match(little.the('clock', 'warn').message, /behind that of the server by [34] s/)
    const much = await findings((await stub(ahead(60))).endpoint)
    assert.match(much.the('clock', 'warn').message, /behind that of the server by (59 s|1 min)/)
    assert.match(much.the('clock', 'warn').advice?.join() ?? '', /will be refused/)
  })

  test('a token that its own bundles refuse', async () => {
    const { endpoint } = await stub(
      but({
        FetchJWTBundles: (call) => call.send(jwtBundlesResponse({ 'spiffe://example.org': domain('example.org').jwks }))
      })
    )
    const { status, failed, the } = await findings(endpoint)
    assert.deepEqual([status, failed, the('jwt').rule], [1, ['jwt'], 'invalid_signature'])
  })

  test('what a server says does not steer the terminal', async () => {
    const { endpoint } = await stub((call) => call.end(13, '\u001b[2Jgone\u202e'))
    const { stdout } = await run(['doctor', '--endpoint', endpoint])
    assert.match(stdout, /INTERNAL: \\u001b\[2Jgone\\u202e/)
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(stdout, /[\u001b\u202e]/)
  })
})
