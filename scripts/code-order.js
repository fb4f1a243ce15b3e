#!/usr/bin/env node
'use strict'
/**
 * node scripts/code-order.js - writes src/code-order.txt: the functions of the addon that a service runs, which
 * build.rs puts side by side. A process has the code it runs in memory, sixteen pages at a time: with hot and cold
 * mixed, that is all of it. Runs what services do under valgrind, on a release build of its own that keeps its symbols.
 * Run it after a change to what a service runs, and for a compiler that names functions in another way: a name that is
 * not found costs nothing but its place.
 */
const { execFile, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { platformHere } = require('./addon')
const { cache } = require('./cache')
const { setUp } = require('./setup')
const { cargoEnvironment, root } = require('./sources')

const list = path.join(root, 'src', 'code-order.txt')

/** What services do, the most memory-minded first: a function stands where it is first needed. */
const SCENES = {
  'a live source': source,
  'who am I, who are you': local,
  'tokens, calls, verification, TLS': rest
}

/** Functions with the same code become one, under whichever of their names: that of bytes is one that services run. */
const ALIKE = ['_RNvM*_5alloc3vecINtB*_3VechE*']

/** @param {string} to a directory that gets the package, with the symbols of its addon @returns the addon's path */
function packageWithSymbols(to) {
  /** @type {{ files: string[] }} */
  const { files } = require('../package.json')
  for (const name of [...files.filter((file) => !file.startsWith('!')), 'package.json'])
    fs.cpSync(path.join(root, name), path.join(to, name), { recursive: true })
  // In a place of its own: both kinds of addon would have the same name, and cargo would take one for the other.
  const target = path.join(cache, 'code-order-target')
  execFileSync(
    'cargo',
    [
      'rustc',
      '--release',
      '--quiet',
      '--locked',
      '--lib',
      '--package',
      'countersign-node',
      '--target-dir',
      target,
      '--',
      '-C',
      'strip=none'
    ],
    {
      cwd: root,
      env: { ...cargoEnvironment(), COUNTERSIGN_NO_CODE_ORDER: '1' },
      stdio: ['ignore', 'inherit', 'inherit']
    }
  )
  const addon = path.join(to, platformHere().file)
  fs.copyFileSync(path.join(target, 'release', 'libcountersign_node.so'), addon)
  return addon
}

/**
 * The functions of an object that a profile of callgrind has seen, by its own rules: a name is written once, then
 * numbered.
 * @param {string} profile
 * @param {string} object
 */
function functionsOf(profile, object) {
  /** @type {Map<string, string>} */
  const names = new Map()
  /** @param {string} kind @param {string} text */
  const named = (kind, text) => {
    const [, number, name] = /** @type {RegExpExecArray} */ (/^(\(\d+\)) ?(.*)$/.exec(text))
    if (name) names.set(kind + number, name)
    return /** @type {string} */ (names.get(kind + number))
  }
  const seen = new Set()
  let here = ''
  for (const line of profile.split('\n')) {
    const [, key, text] = /^(c?ob|c?fn)=(.*)$/.exec(line) ?? []
    if (key === undefined) continue
    const name = named(key.slice(-2), text)
    if (key === 'ob') here = name
    else if (key === 'fn' && here === object) seen.add(name)
  }
  return seen
}

/**
 * A function's name without what differs from build to build: hashes, what is counted in bytes of them, versions, and
 * at the end of a generic function the crate that happened to make it.
 * @param {string} name
 */
function lasting(name) {
  return name
    .replace(/'\d+$/, '')
    .replace(/\.(llvm\.\d+|localalias|\d+)$/, '')
    .replace(/Cs[0-9A-Za-z]{5,}_/g, 'Cs*_')
    .replace(/B[0-9A-Za-z]*_/g, 'B*_')
    .replace(/Cs\*_(\d+)(\w+)$/, (whole, length, crate) => (crate.length === Number(length) ? 'Cs*' : whole))
    .replace(/^aws_lc_\d+_\d+_\d+_/, 'aws_lc_*_')
}

/** The functions of the HTTP/2 client: which of them run is up to the server. @param {string} addon */
function http2(addon) {
  const symbols = execFileSync('nm', ['--defined-only', '--format=posix', addon], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28
  }).split('\n')
  return symbols
    .filter((line) => /^\S+ [tT] /.test(line))
    .map((line) => line.split(' ')[0])
    .filter((name) => /^_R[^_]*?Cs[0-9A-Za-z]+_2h2(?!.*(6server|5agent))/.test(name))
}

async function main() {
  setUp()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-code-order-'))
  try {
    const addon = packageWithSymbols(directory)
    const always = [...http2(addon).map(lasting), ...ALIKE]
    // In this process, which nobody looks at. By the user alone: under valgrind, the executable is valgrind's.
    const agent = await require('../lib/agent').startAgent({
      rules: [
        {
          match: { uid: /** @type {() => number} */ (process.getuid)() },
          identity: 'SERVICE',
          spiffeId: 'spiffe://example.org/service'
        }
      ],
      workloadApi: { trustDomain: 'example.org' }
    })
    try {
      const known = new Set()
      let text = '# Functions side by side in the addon, by what needs them first. Written by scripts/code-order.js.\n'
      for (const [title, { name: scene }] of Object.entries(SCENES)) {
        const out = path.join(directory, `${scene}.callgrind`)
        await promisify(execFile)(
          'valgrind',
          [
            '--quiet',
            '--tool=callgrind',
            '--demangle=no',
            `--callgrind-out-file=${out}`,
            process.execPath,
            __filename,
            '--scene',
            scene,
            directory
          ],
          {
            env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: agent.endpoint, WHOAMI_SOCKET: agent.socketPath },
            timeout: 600_000
          }
        )
        // Those without a name in the addon's own symbols are what assembly jumps to.
        const seen = [...functionsOf(fs.readFileSync(out, 'utf8'), addon)].filter((name) => !name.startsWith('0x'))
        const added = [...new Set([...seen.map(lasting), ...always])].filter((name) => !known.has(name)).sort()
        for (const name of added) known.add(name)
        text += `\n# ${title}\n${added.map((name) => `${name}\n`).join('')}`
        console.log(`${title}: ${added.length} functions`)
      }
      if (known.size < 500)
        throw new Error(`${known.size} functions are too few to be true: has the addon its symbols?`)
      fs.writeFileSync(list, text)
    } finally {
      await agent.close()
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

/** @param {typeof import('..')} countersign */
async function source({ X509Source }) {
  const live = await X509Source.open()
  live.svid().privateKey.export({ format: 'der', type: 'pkcs8' })
  live.context().bundles.trustDomains.map(String)
  live.close()
}

/** @param {typeof import('..')} countersign */
async function local({ getIdentity, getIdentitySync, getPeerCredentials }) {
  await getIdentity({ runner: { instanceId: 1, extra: { zone: 'eu-1' } } })
  await Promise.all(Array.from({ length: 8 }, () => getIdentity()))
  getIdentitySync()
  const socket = require('node:net').connect(/** @type {string} */ (process.env.WHOAMI_SOCKET))
  await new Promise((resolve) => socket.once('connect', () => resolve(undefined)))
  // No more than that: what looks at a process asks the clock of the kernel's own page, which valgrind has taken away.
  getPeerCredentials(socket)
  socket.destroy()
}

/** @param {typeof import('..')} countersign @param {string} directory */
async function rest(
  { JwtSource, SpiffeId, WorkloadApiClient, X509Source, authorize, verifyJwtSvid, verifyX509Svid },
  directory
) {
  const https = require('node:https')
  /** @type {typeof import('../types/tls')} */
  const { createAgent, secureServer, serverOptions } = require(path.join(directory, 'lib', 'tls'))
  const client = new WorkloadApiClient()
  const { svid, bundles } = await client.fetchX509Context()
  const peers = authorize.memberOf(svid.spiffeId.trustDomain)
  verifyX509Svid(svid.certificates, bundles, { authorize: peers })
  const audience = SpiffeId.parse('spiffe://example.org/shop').uri
  const token = await client.fetchJwtSvid({ audience })
  await client.validateJwtSvid({ audience, token: token.token })
  client.close()
  const tokens = await JwtSource.open()
  await tokens.fetch({ audience })
  await tokens.validate(token.token, { audience })
  verifyJwtSvid(token.token, tokens.bundles, { audience })
  tokens.close()
  const live = await X509Source.open()
  const server = https.createServer(serverOptions(live, peers), (_request, response) => response.end('hello'))
  secureServer(server, live, peers)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const agent = createAgent(live, peers)
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  await new Promise((resolve, reject) =>
    https
      .get({ host: '127.0.0.1', port, agent }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
  )
  agent.destroy()
  server.close()
  live.close()
}

if (process.argv[2] === '--scene') {
  const [scene, directory] = process.argv.slice(3)
  const run = Object.values(SCENES).find(({ name }) => name === scene)
  if (!run) throw new Error(`no scene ${scene}`)
  run(require(path.join(directory, 'index.js')), directory).then(
    () => process.exit(),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
} else {
  main().catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}
