'use strict'
/** `countersign COMMAND`: finds the command, runs it, and turns what it throws into an exit code. */

const { parseArgs } = require('node:util')
const { EXIT, UsageError, exitCodeOf } = require('./exit')
const { errorValue, printableLines } = require('./print')

/**
 * @typedef {Record<string, { type: 'string' | 'boolean', multiple?: boolean, value?: string, help: string }>} Options
 * @typedef {{
 *   summary: string,
 *   usage: string,
 *   options: Options,
 *   details?: () => string,
 *   notes?: string,
 *   run: (context: { values: Record<string, any>, positionals: string[], args: string[], json: boolean }) =>
 *   Promise<number | void> | number | void, raw?: boolean,
 * }} Command
 * @typedef {{ summary: string, commands: Record<string, Command> }} Group commands with a first name in common
 */

/** @type {Record<string, () => Command | Group>} */
const COMMANDS = {
  whoami: () => require('./whoami'),
  agent: () => require('./agent'),
  check: () => require('./check'),
  peer: () => require('./peer'),
  x509: () => require('./x509'),
  jwt: () => require('./jwt'),
  bundles: () => require('./bundles'),
  bundle: () => require('./bundle'),
  doctor: () => require('./doctor'),
  status: () => require('./status'),
  alerts: () => require('./alerts'),
  reload: () => require('./control-commands').reload,
  kill: () => require('./control-commands').kill,
  resume: () => require('./control-commands').resume,
  audit: () => require('./audit'),
  metrics: () => require('./control-commands').metrics,
  log: () => require('./log'),
  top: () => require('./top')
}

const HELP = ['--help', '-h']

/** Options every command has. */
const COMMON = /** @type {const} */ ({
  json: { type: 'boolean', help: 'one JSON document instead of text' },
  help: { type: 'boolean', help: 'print this' }
})

/** @param {string[]} args */
async function run(args) {
  // A reader that leaves (`| head`) is no failure.
  process.stdout.on('error', (error) => {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPIPE') throw error
    process.exit()
  })
  // The reader of stdout is gone.
  process.stderr.on('error', () => {})
  const json = args.includes('--json')
  // As far as it is known which one is meant.
  const names = /** @type {string[]} */ ([])
  try {
    process.exitCode = (await dispatch(args, names, json)) ?? EXIT.OK
  } catch (error) {
    process.exitCode = report(error, json, names)
  }
}

/**
 * @param {string[]} args
 * @param {string[]} names takes the names of the command that is found
 * @param {boolean} json
 */
async function dispatch(args, names, json) {
  const [name, ...rest] = args
  if (name === undefined || HELP.includes(name) || name === 'help') {
    if (rest.length > 0 && name === 'help') return await dispatch([...rest, '--help'], names, json)
    process.stdout.write(overview())
    return name === undefined ? EXIT.USAGE : EXIT.OK
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${require('../../package.json').version}\n`)
    return EXIT.OK
  }
  const found = named(COMMANDS, name, '')()
  names.push(name)
  if (!('commands' in found)) return await runCommand(found, names, rest, json)
  const [second, ...others] = rest
  if (second === undefined || HELP.includes(second)) {
    process.stdout.write(groupHelp(name, found))
    return second === undefined ? EXIT.USAGE : EXIT.OK
  }
  const command = named(found.commands, second, `${name} `)
  names.push(second)
  return await runCommand(command, names, others, json)
}

/**
 * @template T
 * @param {Record<string, T>} commands
 * @param {string} name
 * @param {string} before what stands before it
 * @returns {T}
 */
function named(commands, name, before) {
  if (Object.hasOwn(commands, name)) return commands[name]
  throw new UsageError(
    `unknown command ${JSON.stringify(before + name)} (commands: ${Object.keys(commands).join(', ')})`
  )
}

/**
 * @param {Command} command
 * @param {string[]} names
 * @param {string[]} args what is behind them
 * @param {boolean} json
 */
async function runCommand(command, names, args, json) {
  if (args.some((arg) => HELP.includes(arg))) {
    process.stdout.write(help(names.join(' '), command))
    return EXIT.OK
  }
  if (command.raw)
    return command.run({ values: {}, positionals: [], args: args.filter((arg) => arg !== '--json'), json })
  const { values, positionals } = parseArgs({ args, options: optionsOf(command), allowPositionals: true, strict: true })
  return command.run({ values, positionals, args, json })
}

/**
 * Its own, in their order, and then those it has not said anything else about.
 * @param {Command} command
 * @returns {Options}
 */
function optionsOf({ options }) {
  return { ...options, ...COMMON, ...options }
}

/** @param {Record<string, { summary: string }>} commands */
function listed(commands) {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  return Object.entries(commands)
    .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`)
    .join('')
}

function overview() {
  return `Workload identity: who am I, and who is at the other end.

Usage: countersign COMMAND [OPTIONS]

Commands:
${listed(Object.fromEntries(Object.entries(COMMANDS).map(([name, load]) => [name, load()])))}
countersign COMMAND --help lists the options of a command.
Exit codes: ${exitCodes()}.
`
}

function exitCodes() {
  const { OK, FAILURE, USAGE, NO_DAEMON, DENIED } = EXIT
  return `${OK} ok, ${FAILURE} failure, ${USAGE} usage, ${NO_DAEMON} no daemon, ${DENIED} denied`
}

/**
 * @param {string} name
 * @param {Group} group
 */
function groupHelp(name, { summary, commands }) {
  return (
    `${summary}\n\nUsage: countersign ${name} COMMAND [OPTIONS]\n\nCommands:\n${listed(commands)}\ncountersign ` +
    `${name} COMMAND --help lists the options of a command.\n`
  )
}

/**
 * @param {string} name
 * @param {Command} command
 */
function help(name, command) {
  /** @type {[string, { type: string, help: string, value?: string }][]} */
  const options = Object.entries(optionsOf(command))
  /** @param {typeof options[number]} option */
  const left = ([option, { type, value }]) => `--${option}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`
  const width = Math.max(...options.map(left).map((text) => text.length))
  const lines = options.map((entry) => `  ${left(entry).padEnd(width)}  ${entry[1].help}`)
  const details = command.details?.() ?? `Options:\n${lines.join('\n')}\n`
  const notes = command.notes === undefined ? '' : `\n${command.notes}\n`
  return `${command.summary}\n\nUsage: countersign ${name} ${command.usage}\n\n${details}${notes}`
}

/**
 * @param {any} error
 * @param {boolean} json
 * @param {string[]} names
 */
function report(error, json, names) {
  const exitCode = exitCodeOf(error)
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ error: errorValue(error, exitCode === EXIT.USAGE ? 'ERR_USAGE' : 'ERR_UNKNOWN') })}\n`
    )
  } else {
    const known = typeof error.code === 'string' || exitCode === EXIT.USAGE
    process.stderr.write(
      `countersign: ${printableLines(known ? error.message : (error.stack ?? String(error)))}` +
        `${error.code && exitCode !== EXIT.USAGE ? ` [${error.code}]` : ''}\n`
    )
    if (exitCode === EXIT.USAGE) process.stderr.write(`Try: countersign ${[...names, '--help'].join(' ')}\n`)
  }
  return exitCode
}

module.exports = { run }
