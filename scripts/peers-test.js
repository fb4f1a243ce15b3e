'use strict'
/**
 * npm run test:peers: clients of other makes at our agent. Each fetches and has judged a token, sees its SVID rotate
 * twice while it watches, loses its identity, and gets it back. What they are made of is fetched once into
 * ${XDG_CACHE_HOME:-~/.cache}/countersign; a client that cannot be had here is said to be skipped.
 */
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')
const { cache } = require('./cache')
const { rustPeer } = require('./rust-peers')
const { setUp, root } = require('./setup')

const clients = path.join(root, 'peers', 'clients')
const ID = 'spiffe://example.org/billing'

/** @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function run(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error || status !== 0)
    throw new Error(`${command}: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1)}`)
  return String(stdout)
}

/** The directory of a Go program of ours, or of SPIRE. @param {string} what */
const goPrograms = (what) =>
  run(process.execPath, [path.join(root, 'scripts', 'go-programs.js'), what], { stdio: ['ignore', 'pipe', 'inherit'] })
    .trim()
    .split('\n')
    .at(-1) ?? ''

/**
 * What each client is, and how it is started. A line it prints is turned into ours: `jwt ID`, `svid ID SERIAL`,
 * `denied`.
 * @type {{
 *   name: string,
 *   prepare: () => any,
 *   command: (prepared: any, endpoint: string) => string[],
 *   read?: (line: string) => string | undefined,
 *   once?: (prepared: any, endpoint: string) => string
 * }[]}
 */
const CLIENTS = [
  {
    name: 'the crate spiffe',
    prepare: () => rustPeer('spiffe-workload'),
    command: (program, endpoint) => [program, endpoint]
  },
  {
    name: '@grpc/grpc-js',
    prepare() {
      const prefix = path.join(cache, 'grpc-js')
      if (!fs.existsSync(path.join(prefix, 'node_modules', '@grpc', 'proto-loader')))
        run('npm', [
          'install',
          '--ignore-scripts',
          '--no-audit',
          '--no-fund',
          '--loglevel=error',
          '--prefix',
          prefix,
          '@grpc/grpc-js@1.14',
          '@grpc/proto-loader@0.8'
        ])
      return path.join(prefix, 'node_modules')
    },
    command: (modules, endpoint) => [process.execPath, path.join(clients, 'grpc-js.cjs'), modules, endpoint]
  },
  {
    name: 'grpcio (Python)',
    prepare() {
      const venv = path.join(cache, 'grpcio')
      const python = path.join(venv, 'bin', 'python')
      if (spawnSync(python, ['-c', 'import grpc']).status !== 0) {
        run('python3', ['-m', 'venv', venv])
        run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'grpcio==1.85.*'])
      }
      return python
    },
    command: (python, endpoint) => [python, path.join(clients, 'grpcio_workload.py'), endpoint]
  },
  {
    name: 'go-spiffe',
    prepare: () => path.join(goPrograms('peers'), 'workload'),
    once(program, endpoint) {
      const socket = `unix://${endpoint.slice('unix:'.length)}`
      const svid = JSON.parse(run(program, ['jwt', '-socket', socket, '-audience', 'shop']))
      run(program, ['validate', '-socket', socket, '-audience', 'shop', '-token', svid.token])
      run(program, ['validate', '-socket', socket, '-audience', 'shop', '-token', svid.token, '-local'])
      return `jwt ${svid.id}`
    },
    command: (program, endpoint) => [
      program,
      'x509',
      '-watch',
      '1000',
      '-socket',
      `unix://${endpoint.slice('unix:'.length)}`
    ],
    read(line) {
      const told = JSON.parse(line)
      if (told.svids) return `svid ${told.svids[0].id} ${told.svids[0].serial}`
      return JSON.stringify(told).includes('PermissionDenied') ? 'denied' : undefined
    }
  },
  {
    name: 'spire-agent api',
    prepare: () => path.join(goPrograms('spire'), 'spire-agent'),
    once(program, endpoint) {
      const socket = endpoint.slice('unix:'.length)
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-peers-'))
      try {
        run(program, ['api', 'fetch', 'x509', '-socketPath', socket, '-write', directory])
        const verified = run('openssl', [
          'verify',
          '-x509_strict',
          '-CAfile',
          path.join(directory, 'bundle.0.pem'),
          path.join(directory, 'svid.0.pem')
        ])
        if (!verified.includes('OK')) throw new Error(`openssl: ${verified}`)
      } finally {
        fs.rmSync(directory, { recursive: true })
      }
      const fetched = run(program, [
        'api',
        'fetch',
        'jwt',
        '-socketPath',
        socket,
        '-audience',
        'shop',
        '-output',
        'json'
      ])
      const [
        {
          svids: [svid]
        }
      ] = JSON.parse(fetched)
      run(program, ['api', 'validate', 'jwt', '-socketPath', socket, '-audience', 'shop', '-svid', svid.svid])
      return `jwt ${svid.spiffe_id}`
    },
    command: (program, endpoint) => [program, 'api', 'watch', '-socketPath', endpoint.slice('unix:'.length)],
    // It tells of updates, and of no refusals.
    read: (line) =>
      /^SPIFFE ID:\s+(\S+)/.exec(line.trim())?.[1].replace(/^/, 'svid ') ??
      (/PermissionDenied|no identity issued/.test(line) ? 'denied' : undefined)
  }
]

/** @param {typeof CLIENTS[number]} client @param {any} prepared */
async function meet(client, prepared) {
  const { startTestAgent } = require('../lib/testing')
  const agent = await startTestAgent({ identities: [ID], ttl: 4000 })
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child
  try {
    /** @type {string[]} */
    const told = []
    if (client.once) told.push(client.once(prepared, agent.endpoint))
    const [program, ...args] = client.command(prepared, agent.endpoint)
    child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let said = ''
    child.stderr?.on('data', (text) => {
      said += text
    })
    const read = client.read ?? ((/** @type {string} */ line) => line)
    for (const stream of [child.stdout, child.stderr]) {
      readline.createInterface({ input: /** @type {any} */ (stream) }).on('line', (line) => {
        try {
          const ours = read(line)
          if (ours) told.push(ours)
        } catch {}
      })
    }
    /** @param {string} what @param {() => boolean} holds */
    const until = async (what, holds) => {
      const deadline = Date.now() + 30_000
      while (!holds()) {
        if (Date.now() > deadline || child?.exitCode != null)
          throw new Error(
            `never: ${what}. It was told ${JSON.stringify(told.slice(-5))}. ${said.trim().split('\n').at(-1)}`
          )
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const svids = () => told.filter((line) => line.startsWith(`svid ${ID}`))
    const serials = () =>
      new Set(svids()).size > 1 || svids().every((line) => line.split(' ').length === 3)
        ? new Set(svids()).size
        : svids().length
    await until('a token that is judged', () => told.includes(`jwt ${ID}`))
    await until('an SVID and two rotations', () => serials() >= 3)
    agent.setIdentities([])
    await until('withdrawn', () => told.at(-1) === 'denied')
    const before = svids().length
    agent.setIdentities([ID])
    await until('restored', () => svids().length > before)
    const methods = new Set(agent.calls.map((/** @type {{ method: string }} */ call) => call.method))
    process.stdout.write(
      `ok ${client.name}: token judged, ${svids().length} SVIDs, withdrawn and restored (${[...methods].join(', ')})\n`
    )
  } finally {
    child?.kill('SIGKILL')
    await agent.close()
  }
}

async function main() {
  setUp()
  let [passed, failed, skipped] = [0, 0, 0]
  const only = process.argv.slice(2)
  for (const client of CLIENTS.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)))) {
    let prepared
    try {
      prepared = client.prepare()
    } catch (error) {
      skipped++
      process.stdout.write(`SKIPPED ${client.name}: ${/** @type {Error} */ (error).message}\n`)
      continue
    }
    try {
      await meet(client, prepared)
      passed++
    } catch (error) {
      failed++
      process.stdout.write(`not ok ${client.name}: ${/** @type {Error} */ (error).message}\n`)
    }
  }
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  process.exitCode = failed === 0 ? 0 : 1
}

main()
