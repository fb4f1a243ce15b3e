'use strict'
/** `countersign COMMAND`: finds the command, runs it, and turns what it throws into an exit code. */

const { parseArgs } = require('node:util')
const { EXIT, UsageError, exitCodeOf } = require('./exit')

/**
 * @typedef {{
 *   summary: string,
 *   usage: string,
 *   options: Record<string, { type: 'string' | 'boolean', multiple?: boolean, value?: string, help: string }>,
 *   details?: () => string,
 *   run: (context: { values: Record<string, any>, positionals: string[], args: string[], json: boolean }) => Promise<number | void> | number | void,
 *   raw?: boolean,
 * }} Command
 */

/** @type {Record<string, () => Command>} */
const COMMANDS = {
  whoami: () => require('./whoami'),
  agent: () => require('./agent'),
  check: () => require('./check'),
  peer: () => require('./peer'),
  bundle: () => require('./bundle'),
}

/** Options every command has. */
const COMMON = /** @type {const} */ ({
  json: { type: 'boolean', help: 'one JSON document instead of text' },
  help: { type: 'boolean', help: 'print this' },
})

/** @param {string[]} args */
async function run (args) {
  // A reader that leaves (`| head`) is no failure.
  process.stdout.on('error', (error) => {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPIPE') throw error
    process.exit()
  })
  const [name, ...rest] = args
  const json = rest.includes('--json')
  try {
    process.exitCode = await dispatch(name, rest, json) ?? EXIT.OK
  } catch (error) {
    process.exitCode = report(error, json, name)
  }
}

/**
 * @param {string | undefined} name
 * @param {string[]} rest
 * @param {boolean} json
 */
async function dispatch (name, rest, json) {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const topic = rest[0]
    process.stdout.write(topic !== undefined && Object.hasOwn(COMMANDS, topic) ? help(topic) : overview())
    return name === undefined ? EXIT.USAGE : EXIT.OK
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${require('../../package.json').version}\n`)
    return EXIT.OK
  }
  if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`unknown command ${JSON.stringify(name)} (commands: ${Object.keys(COMMANDS).join(', ')})`)
  const command = COMMANDS[name]()
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(help(name))
    return EXIT.OK
  }
  if (command.raw) return command.run({ values: {}, positionals: [], args: rest.filter((arg) => arg !== '--json'), json })
  const { values, positionals } = parseArgs({ args: rest, options: { ...command.options, ...COMMON }, allowPositionals: true, strict: true })
  return command.run({ values, positionals, args: rest, json })
}

function overview () {
  const names = Object.keys(COMMANDS)
  const width = Math.max(...names.map((name) => name.length))
  return `Workload identity: who am I, and who is at the other end.

Usage: countersign COMMAND [OPTIONS]

Commands:
${names.map((name) => `  ${name.padEnd(width)}  ${COMMANDS[name]().summary}`).join('\n')}

countersign COMMAND --help tells the options of a command.
Exit codes: ${EXIT.OK} ok, ${EXIT.FAILURE} failure, ${EXIT.USAGE} usage, ${EXIT.NO_DAEMON} no daemon, ${EXIT.DENIED} denied.
`
}

/** @param {string} name */
function help (name) {
  const command = COMMANDS[name]()
  /** @type {[string, { type: string, help: string, value?: string }][]} */
  const options = Object.entries({ ...command.options, ...COMMON })
  /** @param {typeof options[number]} option */
  const left = ([option, { type, value }]) => `--${option}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`
  const width = Math.max(...options.map(left).map((text) => text.length))
  const lines = options.map((entry) => `  ${left(entry).padEnd(width)}  ${entry[1].help}`)
  const details = command.details?.() ?? `Options:\n${lines.join('\n')}\n`
  return `${command.summary}\n\nUsage: countersign ${name} ${command.usage}\n\n${details}`
}

/**
 * @param {any} error
 * @param {boolean} json
 * @param {string} name
 */
function report (error, json, name) {
  const exitCode = exitCodeOf(error)
  if (json) {
    const { code, field, expected, actual, daemonCode, path, line, column } = error
    const value = { error: { code: code ?? (exitCode === EXIT.USAGE ? 'ERR_USAGE' : 'ERR_UNKNOWN'), message: error.message, field, expected, actual, daemonCode, path, line, column } }
    process.stdout.write(`${JSON.stringify(value)}\n`)
  } else {
    const known = typeof error.code === 'string' || exitCode === EXIT.USAGE
    process.stderr.write(`countersign: ${known ? error.message : error.stack ?? error}${error.code && exitCode !== EXIT.USAGE ? ` [${error.code}]` : ''}\n`)
    if (exitCode === EXIT.USAGE) process.stderr.write(`Try: countersign ${Object.hasOwn(COMMANDS, name ?? '') ? `${name} ` : ''}--help\n`)
  }
  return exitCode
}

module.exports = { run }
