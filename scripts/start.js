'use strict'
/**
 * npm start: sets everything up, then does the main job before your eyes, with agents, services and an impostor
 * that are separate processes.
 */
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setUp, say, root } = require('./setup')

const example = path.join(root, 'examples', 'whoami')
const node = fs.realpathSync(process.execPath)

/**
 * The example's rules, with this user and this node in them.
 * @param {string} directory
 */
function writeRules(directory) {
  const text = fs
    .readFileSync(path.join(example, 'rules.toml'), 'utf8')
    .replace('uid = 0, exe = "/usr/bin/node"', `uid = ${process.getuid?.()}, exe = ${JSON.stringify(node)}`)
  const file = path.join(directory, 'rules.toml')
  fs.writeFileSync(file, text, { mode: 0o600 })
  return file
}

/**
 * @param {string} executable
 * @param {string} socket
 */
function service(executable, socket) {
  return run(executable, path.join(example, 'service.js'), { WHOAMI_SOCKET: socket, EXPECT_EXE: node })
}

/**
 * @param {string} executable
 * @param {string} script
 * @param {Record<string, string>} env
 */
function run(executable, script, env) {
  const { stdout, stderr, status } = spawnSync(executable, [script], {
    env: { ...process.env, ...env },
    encoding: 'utf8'
  })
  process.stdout.write(`${(stdout + stderr).replace(/^/gm, '  ').trimEnd()}\n`)
  return { status, stdout }
}

async function main() {
  setUp()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-'))
  const children = []
  try {
    say('the agent, on rules for this user and this node')
    const rules = writeRules(directory)
    const socket = path.join(directory, 'whoami.sock')
    const agent = spawn(
      node,
      [path.join(root, 'bin', 'countersign.js'), 'agent', '--rules', rules, '--socket', socket, '--json'],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    children.push(agent)
    await ready(agent, 'agent')

    say('a service asks who it is')
    const asked = service(node, socket)
    check(asked.status === 0 && asked.stdout.includes('I am EXAMPLE_SERVICE'), 'the service was told who it is')

    say('the same service, run by a copy of node: another program, no rule for it')
    const copy = path.join(directory, 'node')
    fs.copyFileSync(node, copy, fs.constants.COPYFILE_FICLONE)
    fs.chmodSync(copy, 0o755)
    const stranger = service(copy, socket)
    check(stranger.stdout.includes('E_NO_MATCH'), 'a stranger is told nothing')

    say('an impostor took the socket path: the service looks before it speaks')
    const stolen = path.join(directory, 'stolen.sock')
    const impostor = spawn(copy, [path.join(example, 'impostor.js'), stolen], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(impostor)
    await ready(impostor, 'impostor')
    const refused = service(node, stolen)
    const [heard] = await once(impostor.stdout, 'data')
    process.stdout.write(`  ${heard}`)
    check(
      refused.stdout.includes('ERR_UNTRUSTED_SERVER') && String(heard).includes(' 0 bytes'),
      'the impostor got nothing'
    )
    say('agent --dev: both protocols with no root, no file, no SPIRE')
    const dev = spawn(
      node,
      [path.join(root, 'bin', 'countersign.js'), 'agent', '--dev', '--json', '--log-level', 'off'],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, XDG_RUNTIME_DIR: directory } }
    )
    children.push(dev)
    const { endpoint } = JSON.parse(await ready(dev, 'development agent'))

    say('a service gets its SVIDs, and proves with a token who it is')
    const spiffe = run(node, path.join(root, 'examples', 'spiffe', 'service.js'), { SPIFFE_ENDPOINT_SOCKET: endpoint })
    check(
      spiffe.stdout.includes('spiffe://example.org/dev') && spiffe.stdout.includes('the token is good'),
      'it has an X509-SVID and a JWT-SVID'
    )
    check(!/PRIVATE KEY|eyJ/.test(spiffe.stdout), 'no secret was shown')
    say('done')
  } finally {
    for (const child of children) {
      if (child.exitCode === null && child.kill()) await once(child, 'exit')
    }
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Wait for the first line of a child.
 * @param {import('node:child_process').ChildProcessByStdio<any, import('node:stream').Readable, any>} child
 * @param {string} name
 */
async function ready(child, name) {
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`the ${name} ended with ${code}`)
  })
  gone.catch(() => {})
  const [line] = await Promise.race([once(child.stdout, 'data'), gone])
  process.stdout.write(`  ${line}`)
  return String(line)
}

/**
 * @param {boolean} held
 * @param {string} what
 */
function check(held, what) {
  if (!held) throw new Error(`expected: ${what}`)
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
