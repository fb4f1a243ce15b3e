#!/usr/bin/env node
'use strict'
/**
 * npm run test:odd-machine - the tests on a machine that differs from the usual ones: users and groups with names where
 * tests take numbers, another locale and time zone, a home directory with unfavourable settings, ports in use, and a
 * umask of 077. A test that depends on one of these fails here. It uses what `npm test` built.
 *
 * The users exist in a mount namespace of their own, as files bound over /etc/passwd and /etc/group: nothing of the
 * machine is changed. That takes root on Linux.
 */
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { platformHere } = require('./addon')
const { say } = require('./setup')
const { cargoEnvironment, sharedWithAddon } = require('./sources')
const { testFiles, root, TEST_TIMEOUT } = require('./test')

/** The numbers that tests like to take for users and groups. */
const NAMED = [
  ...Array.from({ length: 30 }, (_, index) => 1000 + index),
  ...Array.from({ length: 110 }, (_, index) => 2000 + index),
  4242,
  4243,
  4711,
  5000,
  5001
]

/** The ports that programs and examples like to take. */
const PORTS = [1, 80, 443, 3000, 5000, 5432, 6379, 8000, 8080, 8081, 8125, 8443, 8888, 9000, 9090, 9229, 50051]

/** Left out of the core: a chaos of two minutes. It depends on no user, locale, time zone or port. */
const CORE_LEFT_OUT = ['agent_chaos']

/**
 * Left out of the package: files that take long, and whose subject has nothing to do with users, locales, time zones,
 * ports or home directories. What they build on is tested here by way of other files.
 */
const PACKAGE_LEFT_OUT = [
  // Handshakes by the hundred, over both versions of TLS.
  'tls-attacks',
  'tls-front',
  'tls-lifetimes',
  // Leaks and threads, counted over ten thousand calls, and the same once more without libuv.
  'whoami-lifetime',
  'whoami-worker',
  'without-libuv',
  'workload-lifetime',
  // Bytes of HTTP/2 and protocol buffers.
  'workload-message',
  'workload-wire'
]

/** A host that does not exist. Put together here: no file of the tree may name the host of the registry in use. */
const NO_REGISTRY = ['no', 'registry', 'invalid'].join('.')

/** Settings of other programs that must not reach the tests. */
const HOME_FILES = {
  '.npmrc': `registry=http://${NO_REGISTRY}/\nprefix=/nonexistent\nignore-scripts=true\njson=true\ncolor=always\n`,
  '.gitconfig':
    '[core]\n\tquotePath = true\n\texcludesFile = ~/.ignored\n\tpager = false\n[color]\n\tui = always\n' +
    '[status]\n\tshowUntrackedFiles = no\n[diff]\n\tnoprefix = true\n',
  '.ignored': '*\n',
  '.config/countersign/rules.toml': '[[rule]]\nidentity = "INTRUDER"\nmatch = { uid = 0 }\n',
  '.config/countersign/config.json': '{"socketPath":"/nonexistent"}',
  '.cache/countersign': 'a file where a directory is expected\n',
  '.countersignrc': 'socketPath=/nonexistent\n',
  '.openssl.cnf': 'not a configuration\n',
  '.curlrc': 'proxy = 127.0.0.1:9\n',
  '.netrc': 'machine localhost login intruder password intruder\n',
  '.bashrc': 'echo from .bashrc; exit 1\n',
  '.profile': 'echo from .profile; exit 1\n'
}

/** @param {string} file @param {string} text */
function write(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
  fs.chmodSync(file, 0o644)
}

/** The files of the odd machine. @param {string} directory */
function makeFiles(directory) {
  fs.chmodSync(directory, 0o755)
  const users = NAMED.map((id) => `odd-${id}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin\n`)
  const groups = NAMED.map((id) => `odd-${id}:x:${id}:\n`)
  write(path.join(directory, 'passwd'), fs.readFileSync('/etc/passwd', 'utf8') + users.join(''))
  write(path.join(directory, 'group'), fs.readFileSync('/etc/group', 'utf8') + groups.join(''))
  for (const [name, text] of Object.entries(HOME_FILES)) write(path.join(directory, 'home', name), text)
}

/**
 * Turkish has its own upper and lower case of the letter i.
 * @param {string} directory
 * @returns {Record<string, string>}
 */
function locale(directory) {
  const name = 'tr_TR.UTF-8'
  const made = spawnSync('localedef', ['--no-archive', '-i', 'tr_TR', '-f', 'UTF-8', path.join(directory, name)])
  if (fs.existsSync(path.join(directory, name, 'LC_CTYPE'))) return { LC_ALL: name, LOCPATH: directory }
  console.log(`the locale ${name} cannot be made here: ${made.error?.message ?? made.stderr}. C.UTF-8 takes its place`)
  return { LC_ALL: 'C.UTF-8' }
}

/** Takes the ports; those that are in use already may stay so. @returns {Promise<net.Server[]>} */
const takePorts = () =>
  Promise.all(
    PORTS.map(
      (port) =>
        new Promise((resolve) => {
          const server = net.createServer((socket) => socket.on('error', () => {}).end('intruder\r\n'))
          server.on('error', () => resolve(server)).listen(port, '127.0.0.1', () => resolve(server))
        })
    )
  )

/**
 * The environment there: nothing of ours that says where settings are.
 * @param {string} home
 * @returns {NodeJS.ProcessEnv}
 */
function environment(home) {
  const rest = Object.entries(process.env).filter(([name]) => !/^(LANG|LANGUAGE|LC_|XDG_|npm_|TZ$)/.test(name))
  const { CARGO_HOME = path.join(os.homedir(), '.cargo'), RUSTUP_HOME = path.join(os.homedir(), '.rustup') } =
    process.env
  return { ...Object.fromEntries(rest), HOME: home, CARGO_HOME, RUSTUP_HOME }
}

/**
 * @param {string} directory
 * @param {NodeJS.ProcessEnv} env
 * @param {string} title
 * @param {string[]} command
 */
async function step(directory, env, title, command) {
  say(title)
  const start = Date.now()
  const script =
    'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && ' +
    '[ "$(id -nu 1001)" = odd-1001 ] && umask 077 && exec "$@"'
  const namespace = ['--mount', '--propagation', 'private', 'sh', '-c', script, directory]
  const child = spawn('unshare', [...namespace, ...command], { cwd: root, env, stdio: 'inherit' })
  const [status, signal] = await once(child, 'exit')
  const seconds = ((Date.now() - start) / 1000).toFixed(0)
  say(`${status === 0 ? 'passed' : `FAILED (${signal ?? status})`}: ${title}, ${seconds} s`)
  if (status !== 0) process.exitCode = 1
}

/** The names of the test programs of the core. */
function coreTests() {
  const directory = path.join(root, 'crates', 'countersign', 'tests')
  return fs
    .readdirSync(directory)
    .filter((name) => name.endsWith('.rs') || fs.existsSync(path.join(directory, name, 'main.rs')))
    .map((name) => path.basename(name, '.rs'))
    .filter((name) => !CORE_LEFT_OUT.includes(name))
}

const packageTests = () => testFiles().filter((file) => !PACKAGE_LEFT_OUT.includes(path.basename(file, '.test.mjs')))

async function main() {
  if (process.platform !== 'linux' || spawnSync('unshare', ['--mount', 'true']).status !== 0) {
    console.log('SKIPPED: the odd machine: a mount namespace takes root on Linux')
    return
  }
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-odd-'))
  const servers = await takePorts()
  try {
    makeFiles(directory)
    const env = { ...environment(path.join(directory, 'home')), ...locale(directory) }
    const chosen = process.argv.slice(2)
    if (chosen.length === 0) {
      const inherited = { ...cargoEnvironment(), ...env, TZ: 'Asia/Kathmandu' }
      const tests = coreTests().flatMap((name) => ['--test', name])
      const cargo = ['cargo', 'test', '--quiet', ...sharedWithAddon(platformHere().triple), '--lib', ...tests]
      await step(directory, inherited, 'the core, TZ=Asia/Kathmandu', cargo)
    }
    const files = chosen.length > 0 ? chosen : packageTests()
    const runner = [process.execPath, '--test', '--test-reporter=spec', TEST_TIMEOUT]
    await step(directory, { ...env, TZ: 'Pacific/Chatham' }, 'the package, TZ=Pacific/Chatham', [...runner, ...files])
  } finally {
    for (const server of servers) server.close()
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

main()
