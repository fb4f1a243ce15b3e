'use strict'
/** `countersign top`: callers, their rate, refusals, and SVIDs that expire soon. */

const { UsageError } = require('./exit')
const { OPERATOR, withAgent } = require('./operator')
const { duration, printJson, printable } = require('./print')

const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'

/** @type {import('./main').Command} */
const command = {
  summary: 'Watch callers of the agent, answers a second, refusals, and SVIDs that expire soon',
  usage: '[--interval MS] [--count N] [--socket PATH]',
  options: {
    interval: { type: 'string', value: 'MS', help: 'milliseconds between two updates (default 1000)' },
    count: { type: 'string', value: 'N', help: 'exit after N updates' },
    ...OPERATOR
  },
  notes:
    'q or Ctrl-C leaves. Without a terminal, each look is printed below the last; with --json as one document a line.',
  async run({ values, positionals, json }) {
    const interval = number('--interval', values.interval, 1000)
    const count = number('--count', values.count, Infinity)
    const { stdin, stdout } = process
    const live = Boolean(stdout.isTTY) && !json
    await withAgent(values, positionals, async (agent) => {
      let done = () => {}
      const left = /** @type {Promise<void>} */ (
        new Promise((resolve) => {
          done = resolve
        })
      )
      let over = false
      const leave = () => {
        over = true
        done()
      }
      for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, leave)
      // The first look before the screen is taken: an error is to be read.
      let look = await agent.status()
      let before = { status: look, at: performance.now() }
      if (live) {
        stdout.write(ENTER)
        if (stdin.isTTY)
          stdin
            .setRawMode(true)
            .on('data', (key) => {
              if (['q', '\u0003'].includes(String(key))) leave()
            })
            .resume()
      }
      try {
        for (let looks = 1; ; looks++) {
          const now = { status: look, at: performance.now() }
          show(view(before, now), { live, json, rows: stdout.rows, columns: stdout.columns })
          before = now
          if (looks >= count || over) return
          /** @type {NodeJS.Timeout | undefined} */
          let timer
          await Promise.race([
            left,
            new Promise((resolve) => {
              timer = setTimeout(resolve, interval)
            })
          ])
          clearTimeout(timer)
          if (over) return
          look = await agent.status()
        }
      } finally {
        if (live) {
          if (stdin.isTTY) stdin.setRawMode(false).pause()
          stdout.write(LEAVE)
        }
      }
    })
  }
}

/**
 * @param {string} name
 * @param {string | undefined} text
 * @param {number} otherwise
 */
function number(name, text, otherwise) {
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`${name}: expected a number greater than 0, got ${JSON.stringify(text)}`)
  return Number(text)
}

/** @typedef {{ status: import('../../types/control').AgentStatus, at: number }} Look */

/**
 * What is to be seen, and what changed since the last look.
 * @param {Look} before
 * @param {Look} now
 */
function view(before, { status, at }) {
  const seconds = Math.max((at - before.at) / 1000, 0.001)
  /** @param {import('../../types/control').AgentStatus} status */
  const sums = ({ answered }) => ({
    ok: answered.ok ?? 0,
    refused: Object.entries(answered).reduce((sum, [code, count]) => (code === 'ok' ? sum : sum + count), 0)
  })
  const [then, since] = [sums(before.status), sums(status)]
  /** @param {number} more */
  const rate = (more) => (before.status === status ? 0 : Math.round((more / seconds) * 10) / 10)
  const { uptime, rules, killSwitch, vouching, callers, svids, alerts, workloadApi, auditLog } = status
  return {
    time: new Date(),
    uptime,
    rules,
    vouching,
    killSwitch,
    answersPerSecond: rate(since.ok - then.ok),
    refusalsPerSecond: rate(since.refused - then.refused),
    answers: since.ok,
    refusals: since.refused,
    workloadApi,
    auditLog,
    callers,
    svids,
    alerts
  }
}

/**
 * @param {ReturnType<typeof view>} seen
 * @param {{ live: boolean, json: boolean, rows?: number, columns?: number }} how
 */
function show(seen, { live, json, rows, columns }) {
  if (json) return printJson(seen)
  const lines = linesOf(seen)
  if (!live) return void process.stdout.write(`${lines.join('\n')}\n\n`)
  // A terminal that does not know its size says 0.
  process.stdout.write(
    HOME +
      lines
        .slice(0, (rows || 24) - 1)
        .map((line) => `${line.slice(0, columns || 80)}${CLEAR_LINE}\n`)
        .join('') +
      CLEAR_BELOW
  )
}

/** @param {ReturnType<typeof view>} seen */
function linesOf({
  time,
  uptime,
  rules,
  vouching,
  killSwitch,
  answersPerSecond,
  refusalsPerSecond,
  answers,
  refusals,
  workloadApi,
  auditLog,
  callers,
  svids,
  alerts
}) {
  const state = killSwitch ? `KILLED: ${printable(killSwitch.reason)}` : vouching ? 'vouching' : 'NOT VOUCHING'
  const lines = [
    `countersign ${time.toISOString().slice(11, 19)}  up ${duration(uptime)}  ${rules} rules  ${state}`,
    `answers ${answersPerSecond}/s (${answers})  refusals ${refusalsPerSecond}/s ` +
      `(${refusals})${workloadApi ? `  streams ${workloadApi.connections}  SVIDs ${workloadApi.x509Svids}` : ''}` +
      `${auditLog ? `  log ${auditLog.written}${auditLog.failing ? ' FAILS' : ''}` : ''}`,
    '',
    `${'WHO'.padEnd(18)}${'UID'.padStart(8)}${'PID'.padStart(9)}${'COUNT'.padStart(9)}  ${'CODE'.padEnd(18)}ANSWER`
  ]
  for (const row of callers)
    lines.push(
      `${printable(row.process).slice(0, 17).padEnd(18)}${String(row.uid ?? '?').padStart(8)}` +
        `${String(row.pid ?? '?').padStart(9)}${String(row.count).padStart(9)}  ` +
        `${printable(row.code).padEnd(18)}${printable(row.answer)}`
    )
  if (svids.length > 0) lines.push('', `${'ENDS IN'.padEnd(12)}${'PID'.padStart(8)}  SVID`)
  for (const row of svids.slice(0, 8))
    lines.push(
      `${duration(row.expires.getTime() - time.getTime()).padEnd(12)}${String(row.pid ?? '?').padStart(8)}  ` +
        `${printable(row.spiffeId)}`
    )
  if (alerts.length > 0) lines.push('', 'ALERTS')
  for (const alert of alerts.slice(-8))
    lines.push(`${alert.timestamp.toISOString().slice(11, 19)} ${alert.severity.padEnd(8)} ${printable(alert.message)}`)
  return lines
}

module.exports = command
