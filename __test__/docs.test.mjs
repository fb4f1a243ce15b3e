// What the README and the guides show works as it stands there: every block of code is executed, or checked by the
// program it is written for. A block nobody knows what to do with fails.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { root, runScript } from './support/child.mjs'
import { run } from './support/command-line.mjs'
import { freePort } from './support/free-port.mjs'
import { startAgent } from 'countersign/agent'
import { TestCa } from 'countersign/testing'

const require = createRequire(import.meta.url)

/** @type {any} */
let agent
/** @type {string} */
let directory
before(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'countersign-docs-'))
  agent = await startAgent({
    rules: [
      {
        match: { uid: /** @type {any} */ (process).getuid() },
        identity: 'BILLING_PROD',
        token: 'tok',
        spiffeId: 'spiffe://example.org/billing'
      }
    ],
    workloadApi: { trustDomain: 'example.org', x509SvidTtl: 600_000 },
    control: true
  })
  const ca = new TestCa('example.org')
  const svid = ca.x509Svid('spiffe://example.org/billing')
  for (const [name, text] of Object.entries({
    'bundle.pem': ca.bundle.x509Bundle.toPem(),
    'jwks.json': ca.bundle.jwtBundle.toJwks(),
    'svid.pem': svid.chainPem,
    'key.pem': svid.keyPem,
    'token.jwt': ca.jwtSvid('spiffe://example.org/billing', { audience: 'spiffe://example.org/shop' })
  }))
    writeFileSync(path.join(directory, name), typeof text === 'string' ? text : JSON.stringify(text))
})
after(async () => {
  await agent.close()
  rmSync(directory, { recursive: true })
})

/** @typedef {{ file: string, number: number, language: string, text: string }} Block */

/** @param {string} file @returns {Block[]} */
const blocksOf = (file) =>
  [...readFileSync(path.join(root, file), 'utf8').matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
    ([, language, text], index) => ({ file, number: index + 1, language, text })
  )
const files = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`)
]
const blocks = files.flatMap(blocksOf)

/** What other tests run, and where. @type {[file: string, part: string, test: string][]} */
const ELSEWHERE = [
  ['docs/workload-api.md', '', '__test__/workload-guide.test.mjs'],
  ['docs/testing-against-spire.md', './harness.mjs', '__test__/spire/harness.test.mjs']
]

/** A test runs every block of it, whatever the language. @type {Record<string, string>} */
const WHOLE = { 'docs/databases.md': 'peers/node/test/databases.test.mjs' }

/**
 * What surrounds a block that is a part of a program: by a piece of it.
 * @type {[part: string, before: string, after?: string][]}
 */
const AROUND = [
  ['getPeerProcess(socket).exe', 'const net = listening()'],
  ['authorizePeer(socket, { group: ', 'const net = listening()'],
  [
    'verifyX509Svid(chain',
    "const fs = require('node:fs'); const chain = require('countersign').X509Svid.load('svid.pem', " +
      "'key.pem').certificates; const token = fs.readFileSync('token.jwt', 'utf8')"
  ],
  [
    'new MtlsResolver',
    "const { X509Source } = require('countersign'); const source = await X509Source.open(); " +
      "const tenants = new Map(); const tenantId = require('countersign/principal').TenantId.random(); " +
      'const app = { use () {} }'
  ],
  ['startAgent({', 'const log = () => {}'],
  // It never ends: what has not failed by then is good.
  ['new ControlClient({', 'const page = () => {}; setTimeout(() => process.exit(0), 1500)'],
  [
    'startMyService',
    'const startMyService = async ({ env }) => { if (!env.SPIFFE_ENDPOINT_SOCKET) throw new Error() }'
  ],
  ['const server = https.createServer(serverOptions(source, authorizer), app)', TLS(), 'server.close()'],
  [
    "const fetch = createFetch(source, authorize.id('spiffe://example.org/billing'))\n",
    TLS(),
    'if (typeof fetch !== "function") throw new Error()'
  ],
  [
    'diagnostics_channel.subscribe',
    `${TLS()}; const log = { warn () {} }; const diagnostics_channel = require('node:diagnostics_channel'); ` +
      'const server = https.createServer(serverOptions(source, authorizer), app)'
  ],
  ['switch (principal.kind)', PRINCIPAL(true)],
  [
    'toCedarEntity',
    `${PRINCIPAL()}; const cedar = { isAuthorized ({ principal, entities }) { if (entities[0].uid !== ` +
      `principal) throw new Error() } }; const action = {}, resource = {}, context = {}, policies = ''; ` +
      `const opa = 'https://opa'; const fetch = async (url, { body }) => JSON.parse(body)`
  ],
  [
    'new OidcResolver({\n  ...githubActions({ ownerIds',
    'const tenants = new Map(); const app = { use () {} }; const fastify = { addHook () {} }; ' +
      "const http = require('node:http')"
  ],
  [
    "require('esbuild')",
    "const esbuild = { build: async ({ external }) => { if (!external.includes('@countersign/*')) throw new Error() } }"
  ]
]
function TLS() {
  return (
    "const https = require('node:https'); const { X509Source } = require('countersign'); " +
    "const { authorize, createFetch, secureServer, serverOptions } = require('countersign/tls'); " +
    'const source = await X509Source.open(); const authorizer = authorize.any(); const app = () => {}'
  )
}
function PRINCIPAL(own = false) {
  return (
    `const { ${own ? '' : 'Principal, '}WorkloadPrincipal, TenantId, ` +
    `Issuer } = require('countersign/principal'); const principal = new WorkloadPrincipal({ trustDomain: ` +
    `'acme.example', issuer: Issuer.oauth, tenantId: TenantId.random(), tenantSlug: 'billing', ` +
    `serviceName: 'blue' })`
  )
}

/** Paths of an installation, as they are here. @param {string} text */
const installed = (text) =>
  text
    .replaceAll('expectServer: { uid: 0 }', 'expectServer: { uid: process.getuid() }')
    .replaceAll("'/run/acme/whoami.sock'", 'process.env.WHOAMI_SOCKET')
    .replaceAll("'/run/acme/acmed.sock'", 'process.env.WHOAMI_SOCKET')
    .replaceAll("uid: 0, exe: '/usr/lib/acme/acmed'", 'uid: process.getuid(), exe: process.execPath')
    .replaceAll("'/usr/bin/billing'", 'process.execPath')
    .replaceAll("'/opt/acme/acme'", 'process.execPath')
    .replaceAll("group: 'billing'", 'group: process.getgid()')
    .replaceAll('8443', 'port')
    .replaceAll("localhost:port/'", "localhost:' + port + '/'")
    .replace(/^const esbuild = require.*$/m, '')
    .replace(/^const net = require.*$/m, 'const net = listening()')
    // Once is enough for what is not in a function.
    .replaceAll(/^for await \(const .* of .*\.updates\(.*$/gm, '')

/** A node:net whose servers get a visitor, so that what they do with one is done. */
const LISTENING = `function listening () {
  const net = process.getBuiltinModule('node:net')
  return { ...net, createServer (handler) {
    const server = net.createServer((socket) => { handler(socket); socket.end(); server.close() })
    const at = require('node:path').join(process.cwd(), 'visited-' + process.pid)
    server.listen(at, () => net.connect(at).on('error', () => {}).resume())
    return server
  } }
}\n`

/** @param {Block} block */
async function runJavaScript({ text }) {
  const around = AROUND.find(([part]) => text.includes(part))
  const port = await freePort()
  const here = JSON.stringify(path.join(root, 'docs.js'))
  const { code, stdout, stderr } = await runScript(
    `
    process.chdir(${JSON.stringify(directory)})
    const port = ${port}
    const failed = (error) => { console.error(error); process.exit(1) }
    process.on('unhandledRejection', failed)
    {
      const require = process.getBuiltinModule('node:module').createRequire(${here})
      const net = process.getBuiltinModule('node:net')
      ${LISTENING}
      ;(async () => {
        ${around?.[1] ?? ''}
        ;await (async () => { ${installed(text)}
        ;${around?.[2] ?? ''} })()
        // What a visitor causes is still to come.
        await new Promise((resolve) => setTimeout(resolve, 200))
      })().then(() => process.exit(0), failed)
    }`,
    { env: agent.env }
  )
  assert.equal(code, 0, `${stderr}\n${text}`)
  assert.doesNotMatch(stdout + stderr, /eyJ|PRIVATE KEY|tok_/)
}

/** What a rules file says is taken by the program that reads it. @param {string} text */
async function checkRules(text) {
  const file = path.join(directory, `rules-${Math.random()}.toml`)
  // Names and files of an installation.
  writeFileSync(
    file,
    text.replace(/^(bundle_file|token_file).*$/gm, '').replaceAll(/"\/(run|var\/lib)\/countersign/g, `"${directory}`),
    { mode: 0o600 }
  )
  const { status, stdout, stderr } = await run(['check', file])
  assert.equal(status, 0, `${stdout}${stderr}`)
}

const scripts = require('../package.json').scripts

/** A line of a shell names only commands and options that there are. @param {string} line */
async function checkLine(line) {
  const words = line
    .replace(/^countersign /, 'npx countersign ')
    .replace(/#.*$/, '')
    .replace(/^\w+=\$\(/, '')
    .replace(/\)$/, '')
    .trim()
    .split(/\s+/)
  if (words[0] === '' || words[0] === 'export') return
  if (words[0] === 'npm' && ['run', 'test', 'start'].includes(words[1]))
    return assert.ok(scripts[words[1] === 'run' ? words[2] : words[1]], line)
  if (words[0] === 'npm') return assert.match(line, /^npm (install|pack|audit signatures)/)
  if (/^(scripts|peers|\.ci)\//.test(words[0]) || words[0] === 'node')
    return assert.ok(existsSync(path.join(root, words[0] === 'node' ? words[1] : words[0])), line)
  if (words[0] === 'cargo') return assert.match(line, /^cargo (build|test|fmt|clippy|run) /)
  if (words.slice(0, 2).join(' ') !== 'npx countersign')
    return assert.match(
      line,
      /^(docker|podman|systemctl|systemd-analyze|install|cp|git) /,
      `nobody knows what to do with: ${line}`
    )
  const rest = words.slice(2)
  const first = rest.findIndex((word) => word.startsWith('-') || /[./]/.test(word))
  const names = (first === -1 ? rest : rest.slice(0, first)).filter((word) => word !== '<')
  // A command has one name or two; what follows is for it.
  for (const command of [names.slice(0, 2), names.slice(0, 1)]) {
    const { status, stdout } = await run([...command, '--help'])
    if (status !== 0) continue
    for (const option of rest.filter((word) => word.startsWith('--')))
      assert.ok(stdout.includes(option.split('=')[0]), `${option} is not in the help of ${command.join(' ')}`)
    return
  }
  assert.fail(`no such command: ${line}`)
}

for (const block of blocks) {
  const { file, number, language, text } = block
  test(`${file}, block ${number}: ${text.split('\n')[0]}`, async () => {
    const elsewhere = ELSEWHERE.find(([where, part]) => where === file && language === 'js' && text.includes(part))
    if (elsewhere || WHOLE[file]) return assert.ok(existsSync(path.join(root, elsewhere?.[2] ?? WHOLE[file])))
    if (language === 'js') return runJavaScript(block)
    if (language === 'toml') return checkRules(text)
    if (language === 'sh') {
      for (const line of text.replaceAll('\\\n', ' ').split('\n')) await checkLine(line.trim())
      return
    }
    if (language === 'json') return void JSON.parse(text)
    // Units are in packaging/, and held there; output of programs is to be looked at.
    if (language === 'ini') return assert.match(text, /^\[\w+\]$/m)
    assert.match(
      `${file} ${language}`,
      /docs\/workload-api\.md $/,
      `nobody knows what to do with ${language || 'this'}`
    )
  })
}

test('links of the guides lead somewhere', () => {
  for (const file of [...files, 'ARCHITECTURE.md']) {
    const text = readFileSync(path.join(root, file), 'utf8').replaceAll(/^```.*?^```$/gms, '')
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g))
      assert.ok(existsSync(path.join(root, path.dirname(file), target)), `${file}: ${target}`)
  }
})

test('every guide is reached from the README', () => {
  const seen = new Set(['README.md'])
  for (const file of seen) {
    for (const [, target] of readFileSync(path.join(root, file), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]+\.md)/g))
      seen.add(path.join(path.dirname(file), target))
  }
  for (const name of readdirSync(path.join(root, 'docs'))) assert.ok(seen.has(`docs/${name}`), name)
})

test('every test that the threat model names is there', () => {
  const known = ['__test__', 'crates/countersign/tests', 'crates/countersign/src'].flatMap((where) =>
    readdirSync(path.join(root, where), { recursive: true }).map(String)
  )
  const model = readFileSync(path.join(root, 'docs', 'threat-model.md'), 'utf8')
  const names = [...model.matchAll(/`([\w/.-]+\.(?:rs|mjs))`/g)].map(([, name]) => name)
  assert.ok(names.length > 10)
  for (const name of names)
    assert.ok(
      known.some(
        (file) =>
          file === name || file.endsWith(`/${path.basename(name)}`) || path.basename(file) === path.basename(name)
      ),
      name
    )
})
