#!/usr/bin/env node
'use strict'
/**
 * npm run prebuild:check [-- --all] [-- --windows] [-- --release] - is the package what people will install? Builds the
 * addon for the Linux systems (x64; with --all arm64 too) as a trial, with --release as it ships, packs everything,
 * serves the tarballs as a registry does, installs from there as a user would (an empty folder, no Rust, no other
 * network), and runs package-smoke.cjs in each real runtime. With --windows that for Windows on x64 alone, in wine:
 * elsewhere-smoke.cjs, which has no agent on its own system.
 */
const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { requireShippable } = require('./addon')
const { setUp, say, root } = require('./setup')
const { digest } = require('./sources')
const { PLATFORMS, packageName } = require('./npm-packages')
const { startRegistry } = require('./registry')

/** @param {import('./npm-packages').Platform} platform */
const smokeOf = ({ os: system }) => (system === 'linux' ? 'package-smoke.cjs' : 'elsewhere-smoke.cjs')
/** An emulated Node takes its time, on a busy machine above all. */
const PATIENCE = 180_000

/** @param {string} directory @param {string} to */
function pack(directory, to) {
  const out = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', to], {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [{ filename, files, size }] = JSON.parse(out)
  // npm 10 tells the name with the scope in it, the file has it otherwise.
  return {
    tarball: path.join(to, filename.replace('@', '').replace('/', '-')),
    files: files.map((/** @type {any} */ file) => file.path),
    size
  }
}

/**
 * The manifests as they would be published, with the tarballs of what was built.
 * @param {Record<string, string>} built files by the name of the platform
 * @param {string} work
 */
function packAll(built, work) {
  const main = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const packed = pack(root, work)
  for (const file of packed.files) if (file.endsWith('.node')) throw new Error(`${file} is in the package itself`)
  /** @type {{ manifest: any, tarball?: string }[]} */
  const packages = [{ manifest: main, tarball: packed.tarball }]
  for (const platform of PLATFORMS) {
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'npm', platform.name, 'package.json'), 'utf8'))
    if (main.optionalDependencies[manifest.name] !== main.version || manifest.version !== main.version)
      throw new Error(`${manifest.name} is not pinned to ${main.version}`)
    /** @type {string | undefined} */
    let tarball
    if (built[platform.name]) {
      const folder = path.join(work, 'npm', platform.name)
      fs.cpSync(path.join(root, 'npm', platform.name), folder, { recursive: true })
      fs.copyFileSync(built[platform.name], path.join(folder, platform.file))
      const { tarball: file, files, size } = pack(folder, work)
      if (files.sort().join() !== ['README.md', platform.file, 'package.json'].sort().join())
        throw new Error(`${manifest.name} has ${files}`)
      process.stdout.write(`${manifest.name}: ${(size / 1e6).toFixed(2)} MB packed\n`)
      tarball = file
    }
    packages.push({ manifest, tarball })
  }
  for (const { manifest } of packages) {
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
      if (manifest.scripts?.[name]) throw new Error(`${manifest.name} has the install script ${name}`)
  }
  return packages
}

/**
 * What a user does, on the system this is for.
 * @param {string} directory
 * @param {import('./npm-packages').Platform} platform
 * @param {string} registry
 */
async function install(directory, platform, registry) {
  fs.mkdirSync(directory)
  fs.writeFileSync(path.join(directory, 'package.json'), '{ "private": true }')
  // Nothing of this machine: no settings, no cache, no Rust.
  const env = {
    PATH: [path.dirname(process.execPath), '/usr/bin', '/bin'].join(path.delimiter),
    HOME: directory,
    CARGO: '/bin/false'
  }
  const args = [
    'install',
    'countersign',
    '--registry',
    registry,
    '--cache',
    path.join(directory, '.npm'),
    '--os',
    platform.os,
    '--cpu',
    platform.cpu,
    ...(platform.libc ? ['--libc', platform.libc] : []),
    '--no-audit',
    '--no-fund',
    '--loglevel=error'
  ]
  const { code, output } = await run('npm', args, directory, env)
  if (code !== 0) throw new Error(`npm ${args.join(' ')}: ${output}`)
  const scoped = fs.readdirSync(path.join(directory, 'node_modules', '@countersign'))
  if (scoped.join() !== platform.name) throw new Error(`for ${platform.name} npm installed ${scoped}`)
  fs.copyFileSync(path.join(root, '__test__', smokeOf(platform)), path.join(directory, smokeOf(platform)))
}

/**
 * @param {string} command @param {string[]} args @param {string} cwd @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run(command, args, cwd, env = { PATH: process.env.PATH, HOME: cwd }) {
  return new Promise((resolve) => {
    // A file and no pipe: wine's Node.js cannot write to the pipes of this system.
    const file = path.join(cwd, '.output')
    const to = fs.openSync(file, 'w')
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', to, to] })
    fs.closeSync(to)
    let output = ''
    const timer = setTimeout(() => {
      output += 'it does not end by itself\n'
      child.kill('SIGKILL')
    }, PATIENCE)
    child.on('error', (error) => {
      output += error.message
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, output: fs.readFileSync(file, 'utf8') + output })
    })
  })
}

/**
 * Every runtime a platform is tried on: a name, and a command with what comes before the script.
 * @param {string} name
 */
function runtimesOf(name) {
  const { FOREIGN_NODES } = require('./foreign-nodes')
  if (FOREIGN_NODES[name]) return [{ name, command: FOREIGN_NODES[name]() }]
  const { RUNTIMES, install: fetch } = require('./runtimes')
  return [
    { name: `node${process.versions.node.split('.')[0]}`, command: [process.execPath] },
    ...RUNTIMES.map((runtime) => ({ name: runtime.name, command: [fetch(runtime), ...runtime.flags] }))
  ]
}

async function main() {
  const all = process.argv.includes('--all')
  const release = process.argv.includes('--release')
  const wanted = process.argv.includes('--windows')
    ? PLATFORMS.filter(({ name }) => name === 'win32-x64')
    : PLATFORMS.filter(({ os: system, cpu }) => system === 'linux' && (all || cpu === 'x64'))
  setUp()
  say(`the addon for ${wanted.map(({ name }) => name).join(', ')} (once; minutes)`)
  const files = execFileSync(
    path.join(__dirname, 'prebuild'),
    [...(release ? ['--release'] : []), ...wanted.map(({ name }) => name)],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }
  )
    .trim()
    .split('\n')
  const sources = digest()
  for (const file of files) requireShippable(file, sources, release ? 'release' : 'trial')
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-install-'))
  let failed = 0
  try {
    const packages = packAll(Object.fromEntries(wanted.map(({ name }, index) => [name, files[index]])), work)
    const registry = await startRegistry(packages)
    // qemu-user knows neither pidfds of sockets nor sock_diag: there, the agent is a native one, and judges the
    // emulator.
    const { startAgent } = require('../lib/agent')
    const agent = await startAgent({
      rules: [
        {
          match: { uid: /** @type {any} */ (process).getuid() },
          identity: 'BILLING',
          spiffeId: 'spiffe://example.org/billing'
        }
      ],
      workloadApi: { trustDomain: 'example.org' }
    })
    const { onTcp } = require('../__test__/support/on-tcp.cjs')
    const relay = await onTcp(String(agent.endpoint))
    try {
      for (const platform of wanted) {
        say(`npm install countersign, ${platform.says}: ${packageName(platform)}`)
        const directory = path.join(work, `user-${platform.name}`)
        await install(directory, platform, registry.url)
        for (const { name, command } of runtimesOf(platform.name)) {
          const elsewhere =
            platform.os !== 'linux'
              ? [relay.endpoint]
              : platform.cpu === process.arch
                ? []
                : [agent.socketPath, String(agent.endpoint)]
          const { code, output } = await run(
            command[0],
            [...command.slice(1), smokeOf(platform), ...elsewhere],
            directory
          )
          process.stdout.write(code === 0 ? output : `${name}: FAILED (${code})\n${output}`)
          if (code !== 0) failed++
        }
      }
      const strays = registry.asked.filter((url) => /none\.tgz/.test(url))
      if (strays.length > 0) throw new Error('npm fetched packages of other platforms')
    } finally {
      relay.close()
      await agent.close()
      registry.close()
    }
  } finally {
    fs.rmSync(work, { recursive: true })
  }
  say(failed === 0 ? 'the package is what people will install' : `FAILED: ${failed}`)
  process.exitCode = failed === 0 ? 0 : 1
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
})
