// The commands that ask the Workload API, against a stand-in; against real SPIRE they are in __test__/spire.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run, watch } from './support/command-line.mjs'
import { countersign } from './support/spiffe-scene.mjs'
import {
  domain,
  healthy,
  jwtBundlesResponse,
  jwtResponse,
  startStub,
  strings,
  x509BundlesResponse,
  x509Response
} from './support/workload-stub.mjs'

const home = domain('example.org')
const other = domain('other.org')
const billing = home.svid('/billing', { hint: 'internal' })
const shop = home.svid('/shop', { hint: 'external' })
const federated = { 'spiffe://other.org': other.ca.der }
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-files-'))
let count = 0
const newDirectory = () => path.join(directory, String(++count))

/** @type {Awaited<ReturnType<typeof startStub>>} */
let stub
/** @type {Record<string, string>} */
let env
before(async () => {
  stub = await startStub(() => {})
  env = { SPIFFE_ENDPOINT_SOCKET: stub.endpoint }
})
beforeEach(() => stub.answer(both))
after(async () => {
  await stub.kill()
  fs.rmSync(directory, { recursive: true })
})

/** Two identities, two trust domains. @param {import('./support/workload-stub.mjs').Call} call */
function both(call) {
  switch (call.method) {
    case 'FetchX509SVID':
      return call.send(x509Response({ svids: [billing, shop], federated, crl: [Buffer.from('crl')] }))
    case 'FetchX509Bundles':
      return call.send(x509BundlesResponse({ 'spiffe://example.org': home.ca.der, ...federated }))
    case 'FetchJWTBundles':
      return call.send(jwtBundlesResponse({ 'spiffe://example.org': home.jwks, 'spiffe://other.org': other.jwks }))
    case 'FetchJWTSVID': {
      const { 1: audience, 2: [id] = [] } = strings(call.request)
      const tokens = [
        { ...home.token('/billing', audience), hint: 'internal' },
        { ...home.token('/shop', audience), hint: 'external' }
      ]
      call.send(jwtResponse(tokens.filter((token) => id === undefined || token.id === id)))
      return call.end()
    }
    default:
      return healthy(home)(call)
  }
}

const denied = (/** @type {import('./support/workload-stub.mjs').Call} */ call) => call.end(7, 'no identity issued')
/** @param {string} text */
const secrets = (text) => /PRIVATE KEY|eyJ/.test(text)

describe('x509 fetch', () => {
  test('tells every identity, and no key', async () => {
    const { status, stdout, stderr } = await run(['x509', 'fetch'], { env })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^spiffe id +spiffe:\/\/example\.org\/billing\nhint +internal\nserial +[0-9a-f]+$/m)
    assert.match(stdout, /^trusts +example\.org other\.org$/m)
    assert.equal(stdout.split('\n\n').length, 2)
    const json = await run(['x509', 'fetch', '--json', '--endpoint', stub.endpoint])
    const { svids, trustDomains, crls, ignored } = JSON.parse(json.stdout)
    assert.deepEqual(
      svids.map((/** @type {any} */ svid) => [svid.spiffeId, svid.hint, svid.privateKey]),
      [
        [billing.id, 'internal', '[redacted]'],
        [shop.id, 'external', '[redacted]']
      ]
    )
    assert.equal(new X509Certificate(svids[0].chain).subjectAltName, `URI:${billing.id}`)
    assert.deepEqual([trustDomains, crls, ignored], [['example.org', 'other.org'], 1, []])
    assert.ok(!secrets(stdout + json.stdout))
  })

  test('the one that is chosen, and no other', async () => {
    for (const choice of [
      ['--hint', 'external'],
      ['--spiffe-id', shop.id]
    ]) {
      const { svids } = JSON.parse((await run(['x509', 'fetch', '--json', ...choice], { env })).stdout)
      assert.deepEqual(
        svids.map((/** @type {any} */ svid) => svid.spiffeId),
        [shop.id]
      )
    }
    const { status, stdout } = await run(['x509', 'fetch', '--json', '--hint', 'none'], { env })
    assert.equal(status, 1)
    assert.deepEqual(JSON.parse(stdout).error.offered, [
      `${billing.id} (hint "internal")`,
      `${shop.id} (hint "external")`
    ])
  })

  test('exit codes tell who is to blame', async () => {
    const code = async (/** @type {Record<string, string>} */ env, /** @type {string[]} */ ...more) =>
      (await run(['x509', 'fetch', ...more], { env })).status
    assert.equal(await code({}), 2)
    assert.equal(await code({ SPIFFE_ENDPOINT_SOCKET: 'unix:///nowhere/agent.sock' }), 3)
    stub.answer(denied)
    assert.equal(await code(env), 4)
    assert.equal(await code(env, '--wait', '--timeout', '2000'), 4)
    assert.equal(await code({ SPIFFE_ENDPOINT_SOCKET: 'unix:///nowhere/agent.sock' }, '--wait', '--timeout', '2000'), 3)
    stub.answer(() => {})
    assert.equal(await code(env, '--timeout', '200'), 1)
    stub.answer((call) => call.end(13, 'no \u001b[31mred\u202e'))
    const hostile = await run(['x509', 'fetch'], { env })
    assert.equal(hostile.status, 1)
    assert.match(hostile.stderr, /INTERNAL: no \\u001b\[31mred\\u202e \[ERR_WORKLOAD_API\]/)
  })

  test('--wait waits for an agent that is not up, and for an identity that is not there', async () => {
    const socket = path.join(directory, 'late.sock')
    const waiting = run(['x509', 'fetch', '--wait', '--endpoint', `unix:${socket}`, '--timeout', '20000'])
    await sleep(500)
    let refusals = 0
    const late = await startStub((call) => (refusals++ < 2 ? denied(call) : both(call)), { socket })
    const { status, stdout, stderr } = await waiting
    await late.kill()
    assert.equal(status, 0, stderr)
    assert.match(stdout, /billing/)
  })
})

describe('files', () => {
  test("are those of spire-agent; the key is nobody else's", async () => {
    const at = newDirectory()
    const { status, stdout } = await run(['x509', 'fetch', '--write', at], { env })
    assert.equal(status, 0)
    assert.match(stdout, /svid\.1\.pem svid\.1\.key bundle\.1\.pem federated_bundle\.1\.0\.pem$/m)
    assert.deepEqual(
      fs.readdirSync(at).filter((name) => !name.startsWith('..')),
      [
        'bundle.0.pem',
        'bundle.1.pem',
        'federated_bundle.0.0.pem',
        'federated_bundle.1.0.pem',
        'svid.0.key',
        'svid.0.pem',
        'svid.1.key',
        'svid.1.pem'
      ]
    )
    for (const [index, { id }] of [billing, shop].entries()) {
      const file = (/** @type {string} */ name) => path.join(at, name.replace('*', String(index)))
      const svid = countersign.X509Svid.load(file('svid.*.pem'), file('svid.*.key'))
      assert.equal(svid.spiffeId.uri, id)
      assert.equal(fs.statSync(file('svid.*.key')).mode & 0o777, 0o600)
      assert.equal(fs.readFileSync(file('bundle.*.pem'), 'utf8').replace(/\s/g, ''), home.ca.pem.replace(/\s/g, ''))
      assert.equal(
        fs.readFileSync(file('federated_bundle.*.0.pem'), 'utf8').replace(/\s/g, ''),
        other.ca.pem.replace(/\s/g, '')
      )
    }
    // One less: its files go too.
    await run(['x509', 'fetch', '--write', at, '--hint', 'external'], { env })
    assert.deepEqual(
      fs.readdirSync(at).filter((name) => !name.startsWith('..')),
      ['bundle.0.pem', 'federated_bundle.0.0.pem', 'svid.0.key', 'svid.0.pem']
    )
    assert.equal(
      countersign.X509Svid.load(path.join(at, 'svid.0.pem'), path.join(at, 'svid.0.key')).spiffeId.uri,
      shop.id
    )
  })

  test('take the place of plain ones, leave others alone, and live beside bundles', async () => {
    const at = newDirectory()
    fs.mkdirSync(at)
    for (const name of ['svid.0.pem', 'svid.0.key', 'notes.txt', '..data'])
      fs.writeFileSync(path.join(at, name), 'mine', { mode: 0o644 })
    fs.symlinkSync('notes.txt', path.join(at, 'svid.7.pem'))
    await run(['x509', 'fetch', '--write', at, '--hint', 'internal'], { env })
    await run(['bundles', '--write', at], { env })
    await run(['bundles', '--jwt', '--write', at], { env })
    assert.equal(
      countersign.X509Svid.load(path.join(at, 'svid.0.pem'), path.join(at, 'svid.0.key')).spiffeId.uri,
      billing.id
    )
    for (const name of ['notes.txt', '..data', 'svid.7.pem'])
      assert.equal(fs.readFileSync(path.join(at, name), 'utf8'), 'mine')
    assert.equal(
      fs.readFileSync(path.join(at, 'other.org.pem'), 'utf8').replace(/\s/g, ''),
      other.ca.pem.replace(/\s/g, '')
    )
    assert.equal(JSON.parse(fs.readFileSync(path.join(at, 'example.org.jwks'), 'utf8')).keys[0].kid, 'one')
  })

  test('that cannot be written are an error, and nothing is left of the attempt', async () => {
    const at = newDirectory()
    fs.mkdirSync(path.join(at, 'svid.0.key', 'in-the-way'), { recursive: true })
    const { status, stderr } = await run(['x509', 'fetch', '--write', at], { env })
    assert.equal(status, 1)
    assert.match(stderr, /EISDIR|ENOTEMPTY|EEXIST/)
    assert.equal((await run(['x509', 'fetch', '--write', path.join(at, 'no', 'parent')], { env })).status, 1)
    fs.writeFileSync(path.join(at, 'file'), '')
    assert.equal((await run(['x509', 'fetch', '--write', path.join(at, 'file')], { env })).status, 1)
    assert.deepEqual(
      fs.readdirSync(at).filter((name) => name.includes('.link.')),
      []
    )
  })

  test('a reader never sees a key beside the certificate of another, nor half a file', async (t) => {
    const at = newDirectory()
    const versions = Array.from({ length: 8 }, () => home.svid('/billing'))
    const version = (/** @type {number} */ index) => x509Response({ svids: [versions[index % versions.length]] })
    stub.answer((call) => call.send(version(0)))
    const watching = watch(['x509', 'watch', '--write', at], { env })
    await watching.until(() => watching.said.stdout.includes('\n'), 'the first line')
    // The rule: the directory is looked up once, both files are read in it. A process of its own, so that it is busy at
    // it.
    const reader = spawn(
      process.execPath,
      [
        '--eval',
        `
      const fs = require('node:fs'), crypto = require('node:crypto'), path = require('node:path')
      let looks = 0, torn = 0
      const pairs = new Set()
      process.on('SIGTERM', () => { console.log(JSON.stringify({ looks, torn, pairs: pairs.size })); process.exit() })
      const look = () => {
        for (let n = 0; n < 50; n++) {
          looks++
          const one = fs.realpathSync(process.argv[1] + '/..svids')
          try {
            const key = fs.readFileSync(one + '/svid.0.key'), chain = fs.readFileSync(one + '/svid.0.pem', 'utf8')
            const pair = chain + key
            if (pairs.has(pair)) continue
            pairs.add(pair)
            if (!new crypto.X509Certificate(chain).checkPrivateKey(crypto.createPrivateKey(key))) torn++
          } catch { torn++ }
        }
        setImmediate(look)
      }
      console.log('up')
      look()`,
        at
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    const gone = new Promise((resolve) => reader.on('close', resolve))
    let said = ''
    reader.stdout.on('data', (piece) => {
      said += piece
    })
    await watching.until(() => said.includes('up'), 'the reader')
    // As long as it takes both of them to get somewhere: they may have one processor for all.
    const seen = () => watching.said.stdout.split('\n').length - 1
    for (let round = 1; seen() < 40; round++) {
      stub.push('FetchX509SVID', version(round))
      await sleep(round % 4 === 0 ? 10 : 0)
    }
    reader.kill()
    await gone
    assert.deepEqual(await watching.end(), { status: 0, signal: null })
    const { looks, torn, pairs } = JSON.parse(said.slice('up\n'.length))
    t.diagnostic(`${looks} looks, ${pairs} different pairs, ${watching.said.stdout.split('\n').length - 1} updates`)
    assert.equal(torn, 0)
    assert.ok(pairs > 2)
  })

  test('of a moment ago stay for whoever reads them; older ones go', async () => {
    const at = newDirectory()
    await run(['x509', 'fetch', '--write', at], { env })
    const [generation] = fs.readdirSync(at).filter((name) => /^\.\.svids\.\d/.test(name))
    // As if a process had been killed in the middle of it, long ago and just now.
    for (const made of [Date.now() - 120_000, Date.now()]) fs.mkdirSync(path.join(at, `..svids.${made}.1.0`))
    fs.renameSync(path.join(at, generation), path.join(at, `..svids.${Date.now() - 61_000}.2.0`))
    await run(['x509', 'fetch', '--write', at], { env })
    const left = fs.readdirSync(at).filter((name) => /^\.\.svids\./.test(name))
    assert.equal(left.length, 2, left.join())
    assert.ok(left.some((name) => name.endsWith('.1.0')))
  })
})

/** @param {{ chain: Uint8Array }} svid */
function serial({ chain }) {
  return new X509Certificate(chain).serialNumber.toLowerCase().replace(/^0+/, '')
}

describe('x509 watch', () => {
  test('a line for each update, all events as JSON, and an end by signal', async () => {
    const renewed = home.svid('/billing', { hint: 'internal' })
    const text = watch(['x509', 'watch'], { env })
    const json = watch(['x509', 'watch', '--json', '--hint', 'internal'], { env })
    await Promise.all([text, json].map(({ until, said }) => until(() => said.stdout.includes('\n'), 'the first line')))
    stub.push('FetchX509SVID', x509Response({ svids: [renewed, shop] }))
    await Promise.all(
      [text, json].map(({ until, said }) => until(() => said.stdout.includes(serial(renewed)), 'the renewed one'))
    )
    // Twice the same is told once.
    stub.answer(denied)
    for (let round = 0; round < 2; round++) {
      stub.end('FetchX509SVID', 14, 'away for a moment')
      await sleep(50)
    }
    await json.until(() => json.said.stdout.includes('withdraw'), 'the withdrawal')
    await text.until(() => text.said.stderr.includes('withdraw'), 'the withdrawal')
    stub.answer(both)
    await json.until(
      () =>
        json.said.stdout.endsWith('\n') &&
        json.said.stdout
          .trim()
          .split('\n')
          .filter((line) => line.includes('"update"')).length === 3,
      'it comes back'
    )
    assert.deepEqual(await text.end('SIGINT'), { status: 130, signal: null })
    assert.deepEqual(await json.end('SIGTERM'), { status: 0, signal: null })
    const events = json.said.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      events.map(({ event }) => event),
      ['update', 'update', 'error', 'withdraw', 'update']
    )
    assert.deepEqual(
      events[1].svids.map((/** @type {any} */ { spiffeId, serialNumber }) => [spiffeId, serialNumber]),
      [[billing.id, serial(renewed)]]
    )
    assert.equal(events[2].error.grpcCode, 'UNAVAILABLE')
    assert.equal(events[3].withdrawn, true)
    assert.ok(events.every(({ time }) => Date.parse(time) > 0))
    assert.match(
      text.said.stdout,
      new RegExp(
        '^\\S+Z update spiffe://example\\.org/billing \\(internal\\) serial [0-9a-f]+ expires .*, ' +
          'spiffe://example\\.org/shop \\(external\\) .*, trusts example\\.org other\\.org\\n'
      )
    )
    assert.ok(!secrets(text.said.stdout + text.said.stderr + json.said.stdout))
  })

  test('a withdrawn identity leaves no files, and gets them back', async () => {
    const at = newDirectory()
    const watching = watch(['x509', 'watch', '--json', '--write', at, '--hint', 'external'], { env })
    await watching.until(() => watching.said.stdout.includes('update'), 'the first line')
    assert.ok(fs.existsSync(path.join(at, 'svid.0.key')))
    // The chosen one is not offered any more, though others are.
    stub.push('FetchX509SVID', x509Response({ svids: [billing] }))
    await watching.until(() => watching.said.stdout.includes('ERR_SVID_NOT_FOUND'), 'it is not offered')
    assert.deepEqual(fs.readdirSync(at), [])
    stub.push('FetchX509SVID', x509Response({ svids: [shop] }))
    await watching.until(() => watching.said.stdout.match(/"update"/g)?.length === 2, 'it is offered again')
    assert.ok(fs.existsSync(path.join(at, 'svid.0.key')))
    stub.answer(denied)
    stub.end('FetchX509SVID', 7, 'no identity issued')
    await watching.until(() => watching.said.stdout.includes('withdraw'), 'the withdrawal')
    assert.deepEqual(fs.readdirSync(at), [])
    await watching.end()
    // Also when it is gone by the time somebody looks again.
    stub.answer(both)
    await run(['x509', 'fetch', '--write', at], { env })
    stub.answer(denied)
    const again = watch(['x509', 'watch', '--json', '--write', at], { env })
    await again.until(() => again.said.stdout.includes('withdraw'), 'the withdrawal')
    assert.deepEqual(fs.readdirSync(at), [])
    await again.end()
  })

  test('ends when it makes no sense to go on', async () => {
    stub.answer((call) => call.end(12, 'unknown service'))
    const refused = await run(['x509', 'watch', '--json'], { env })
    assert.equal(refused.status, 1)
    assert.equal(JSON.parse(refused.stdout.trim().split('\n').at(-1) ?? '').error.grpcCode, 'UNIMPLEMENTED')
    stub.answer(denied)
    assert.equal((await run(['x509', 'watch', '--timeout', '2000'], { env })).status, 4)
    assert.equal(
      (
        await run(['x509', 'watch', '--timeout', '2000'], {
          env: { SPIFFE_ENDPOINT_SOCKET: 'unix:/nowhere/agent.sock' }
        })
      ).status,
      3
    )
    stub.answer(both)
    const nowhere = await run(['x509', 'watch', '--write', '/proc/nowhere'], { env })
    assert.equal(nowhere.status, 1)
    assert.match(nowhere.stderr, /\/proc\/nowhere/)
  })

  test('a reader that leaves ends it, without a word', async () => {
    const shell = spawn('sh', ['-c', `${process.execPath} bin/countersign.js x509 watch | head -n 1; echo over`], {
      env: { ...process.env, ...env },
      cwd: new URL('..', import.meta.url)
    })
    let said = ''
    let complaints = ''
    shell.stdout.on('data', (piece) => {
      said += piece
    })
    shell.stderr.on('data', (piece) => {
      complaints += piece
    })
    const pushing = setInterval(() => stub.push('FetchX509SVID', x509Response({ svids: [home.svid('/billing')] })), 200)
    await new Promise((resolve) => shell.on('close', resolve))
    clearInterval(pushing)
    assert.match(said, /update .*\nover\n$/)
    assert.equal(complaints, '')
  })
})

describe('jwt', () => {
  test('fetch hides tokens unless it is asked for them', async () => {
    const plain = await run(['jwt', 'fetch', '--audience', 'shop', '--audience', 'bank'], { env })
    assert.equal(plain.status, 0, plain.stderr)
    assert.match(plain.stdout, /^audience +shop bank$/m)
    const json = await run(['jwt', 'fetch', '--audience', 'shop', '--json'], { env })
    assert.deepEqual(
      JSON.parse(json.stdout).svids.map((/** @type {any} */ svid) => [svid.spiffeId, svid.hint, svid.token]),
      [
        [billing.id, 'internal', '[redacted]'],
        [shop.id, 'external', '[redacted]']
      ]
    )
    assert.ok(!secrets(plain.stdout + json.stdout))
    assert.match((await run(['jwt', 'fetch', '--audience', 'shop', '--show-token'], { env })).stdout, /^token +eyJ/m)
    assert.match(
      JSON.parse((await run(['jwt', 'fetch', '--audience', 'shop', '--show-token', '--json'], { env })).stdout).svids[0]
        .token,
      /^eyJ/
    )
  })

  test('fetch --raw is the token alone, of the one identity that is meant', async () => {
    for (const choice of [
      ['--hint', 'external'],
      ['--spiffe-id', shop.id]
    ]) {
      const { status, stdout } = await run(['jwt', 'fetch', '--audience', 'shop', '--raw', ...choice], { env })
      assert.equal(status, 0)
      assert.equal(countersign.JwtSvid.parseInsecure(stdout.trimEnd()).spiffeId.uri, shop.id)
      assert.equal(stdout.split('\n').length, 2)
    }
    const { status, stdout, stderr } = await run(['jwt', 'fetch', '--audience', 'shop', '--raw'], { env })
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /--spiffe-id or --hint: .*billing \(hint "internal"\), .*shop/)
  })

  test('validate: by the Workload API, or here by its bundles', async () => {
    const { token } = home.token('/billing', ['shop'])
    /** @type {Record<number, string[]>[]} */
    const asked = []
    stub.answer((call) => {
      if (call.method !== 'ValidateJWTSVID') return both(call)
      asked.push(strings(call.request))
      call.end(3, 'token is bad')
    })
    const refused = await run(['jwt', 'validate', '--audience', 'shop', '-'], { env, input: `${token}\n` })
    assert.equal(refused.status, 4)
    assert.match(refused.stderr, /token is bad \[ERR_INVALID_TOKEN\]/)
    assert.deepEqual(asked, [{ 1: ['shop'], 2: [token] }])
    const offline = await run(['jwt', 'validate', '--audience', 'shop', '--offline', '--json'], { env, input: token })
    assert.equal(offline.status, 0, offline.stderr)
    assert.deepEqual(JSON.parse(offline.stdout).claims.aud, ['shop'])
    assert.match(
      (await run(['jwt', 'validate', '--audience', 'shop', '--offline', token], { env })).stdout,
      /^spiffe id +spiffe:\/\/example\.org\/billing\n/
    )
    const other = await run(['jwt', 'validate', '--audience', 'bank', '--offline', '--json', token], { env })
    assert.equal(other.status, 4)
    assert.equal(JSON.parse(other.stdout).error.rule, 'audience_mismatch')
    assert.equal(asked.length, 1)
    for (const said of [refused, offline, other]) assert.ok(!secrets(said.stdout + said.stderr))
  })

  test('validate: what comes on stdin may be anything', async () => {
    for (const [input, status] of /** @type {const} */ ([
      ['', 2],
      ['  \n', 2],
      ['x'.repeat(100_000), 2],
      ['x', 4],
      ['\0\0\0', 4],
      ['a.b.c', 4],
      ['eyJ.eyJ.eyJ extra', 4]
    ])) {
      const answer = await run(['jwt', 'validate', '--audience', 'shop', '--offline'], { env, input })
      assert.equal(answer.status, status, `${input.slice(0, 20)}: ${answer.stderr}`)
      assert.ok(!secrets(answer.stderr))
    }
    // In the wrong place: not shown either.
    const wrong = await run(['jwt', 'fetch', '--audience', 'shop', 'eyJhbGciOi'], { env })
    assert.equal(wrong.status, 2)
    assert.ok(!secrets(wrong.stderr))
  })
})

describe('bundles', () => {
  test('of every trust domain, never in one heap', async () => {
    const { status, stdout } = await run(['bundles'], { env })
    assert.equal(status, 0)
    assert.match(
      stdout,
      new RegExp(
        '^trust domain +example\\.org\\nauthority +O=example\\.org\\n {2}expires .*\\n' +
          ' {2}sha256 +([0-9A-F]{2}:){31}[0-9A-F]{2}\\n\\ntrust domain +other\\.org\\n'
      )
    )
    assert.match((await run(['bundles', '--jwt'], { env })).stdout, /^trust domain +example\.org\nkey id +one$/m)
    const { bundles } = JSON.parse((await run(['bundles', '--json'], { env })).stdout)
    assert.deepEqual(
      bundles.map((/** @type {any} */ { trustDomain, authorities, pem }) => [
        trustDomain,
        authorities.length,
        new X509Certificate(pem).subject
      ]),
      [
        ['example.org', 1, 'O=example.org'],
        ['other.org', 1, 'O=other.org']
      ]
    )
    for (const form of ['--pem', '--jwks']) {
      const several = await run(['bundles', form], { env })
      assert.deepEqual([several.status, several.stdout], [2, ''])
      assert.match(several.stderr, /say which trust domain: example\.org, other\.org/)
    }
    assert.equal(
      new X509Certificate((await run(['bundles', 'other.org', '--pem'], { env })).stdout).subject,
      'O=other.org'
    )
    assert.equal(JSON.parse((await run(['bundles', 'spiffe://other.org', '--jwks'], { env })).stdout).keys.length, 1)
    const unknown = await run(['bundles', 'third.org', '--json'], { env })
    assert.equal(unknown.status, 1)
    assert.equal(JSON.parse(unknown.stdout).error.code, 'ERR_BUNDLE_NOT_FOUND')
  })

  test('a trust domain that is gone has no file any more, and names stay in the directory', async () => {
    const at = newDirectory()
    await run(['bundles', '--write', at], { env })
    stub.answer((call) => call.send(x509BundlesResponse({ 'spiffe://..': home.ca.der })))
    const { status, stderr } = await run(['bundles', '--write', at], { env })
    assert.equal(status, 0, stderr)
    assert.deepEqual(
      fs.readdirSync(at).filter((name) => !name.startsWith('..x509-bundles')),
      ['...pem']
    )
  })
})
