'use strict'
/** `countersign check`: is this rules file right, and which rule would a process get? */

const { linuxOnly } = require('../native/load')
const { unwrap } = require('../native/answer')
const { EXIT, UsageError } = require('./exit')
const { printJson, printable } = require('./print')

const RULES = 'to read the rules of an agent'

/** @type {import('./main').Command} */
const command = {
  summary: 'Check a rules file, and say which rule matches a process',
  usage: 'RULES [--as-pid PID]',
  options: {
    'as-pid': {
      type: 'string',
      value: 'PID',
      help: 'a running process: which rule matches it, and why no earlier one does'
    }
  },
  run({ values, positionals, json }) {
    if (positionals.length !== 1) throw new UsageError('expected one rules file')
    const [file] = positionals
    const pid = values['as-pid']
    if (pid !== undefined && !/^[1-9]\d{0,9}$/.test(pid))
      throw new UsageError(`--as-pid: expected a process id, got ${JSON.stringify(pid)}`)
    const checked = unwrap(linuxOnly('checkRules', RULES)(file))
    if (pid === undefined) {
      if (json) printJson({ file, ...checked })
      else printRules(file, checked)
      return EXIT.OK
    }
    const explained = unwrap(linuxOnly('explainRules', RULES)(file, Number(pid)))
    if (json) printJson({ file, pid: Number(pid), ...explained })
    else printExplanation(pid, explained)
    return explained.winner === null && explained.svids.length === 0 ? EXIT.DENIED : EXIT.OK
  }
}

/**
 * What a rule gives, in a few words.
 * @param {{ identity: string | null, spiffeId: string | null, hint?: string | null }} rule
 */
function gives({ identity, spiffeId, hint }) {
  return printable([identity, spiffeId && (hint ? `${spiffeId} (${hint})` : spiffeId)].filter(Boolean).join(' and '))
}

/**
 * @param {string} file
 * @param {{ rules: any[], warnings: string[], findings: string[], trustDomain: string | null }} checked
 */
function printRules(file, { rules, warnings, findings, trustDomain }) {
  process.stdout.write(`${printable(file)}: ${rules.length} rule${rules.length === 1 ? '' : 's'}, in this order:\n`)
  for (const rule of rules) {
    process.stdout.write(`  ${rule.rule}. line ${rule.line}: ${gives(rule)} for ${printable(rule.match)}\n`)
  }
  if (trustDomain)
    process.stdout.write(
      `SVIDs are those of ${printable(trustDomain)}; a process gets one for each rule that matches\n`
    )
  for (const text of [...warnings, ...findings]) process.stdout.write(`warning: ${printable(text)}\n`)
}

/**
 * @param {string} pid
 * @param {{ verdicts: any[], winner: number | null, svids: number[] }} explained
 */
function printExplanation(pid, { verdicts, winner, svids }) {
  for (const verdict of verdicts) {
    const { rule, line, denied } = verdict
    const yes =
      rule === winner
        ? 'yes: this is the one'
        : svids.includes(rule)
          ? 'yes: its SVID'
          : 'would match, but an earlier rule did'
    const why = denied ? `no: ${denied.field}: expected ${denied.expected}, the process has ${denied.actual}` : yes
    process.stdout.write(`  ${rule}. line ${line}: ${gives(verdict)}: ${printable(why)}\n`)
  }
  process.stdout.write(
    winner === null ? `process ${pid} gets no rule: E_NO_MATCH\n` : `process ${pid} gets rule ${winner}\n`
  )
  const given = svids.map((rule) => verdicts[rule - 1].spiffeId)
  if (given.length > 0) process.stdout.write(`over the Workload API: ${given.map(printable).join(', ')}\n`)
}

module.exports = command
