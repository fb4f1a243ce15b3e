'use strict'
/** `countersign x509`: X509-SVIDs from the Workload API, once or for as long as it runs. */

const { WorkloadApiClient, X509Source } = require('../../index')
const { compilePick } = require('../spiffe/source/pick')
const { CHOICE, WORKLOAD, choice, none, workload } = require('./arguments')
const { EXIT } = require('./exit')
const { errorValue, expiry, printEach, printJson, printable, printableLines } = require('./print')
const { NOTES, SvidFiles } = require('./svid-files')

/** @typedef {import('./svid-files').X509Context} X509Context */
/** @typedef {import('./svid-files').X509Svid} X509Svid */

/** Milliseconds. */
const WAIT = 10_000

const WRITE = /** @type {const} */ ({
  type: 'string',
  value: 'DIR',
  help: 'write chains, keys and bundles to files there'
})

/** @type {import('./main').Command} */
const fetch = {
  summary: 'Fetch the X509-SVIDs and bundles of this process',
  usage: '[--endpoint ENDPOINT] [--write DIR]',
  options: {
    ...WORKLOAD,
    ...CHOICE,
    write: WRITE,
    wait: {
      type: 'boolean',
      help: 'wait until --timeout for an agent that is not running yet, or for a first identity'
    }
  },
  notes: NOTES,
  async run({ values, positionals, json }) {
    none(positionals)
    const chosen = choice(values)
    const context = await (values.wait
      ? waitFor(values, chosen)
      : new WorkloadApiClient(workload(values)).fetchX509Context())
    const svids = wanted(context, chosen)
    const files = values.write === undefined ? undefined : new SvidFiles(values.write).write(context, svids)
    const trustDomains = context.bundles.trustDomains.map(({ name }) => name)
    if (json)
      return printJson({
        svids: svids.map((svid) => ({ ...svid.toJSON(), chain: svid.chainPem() })),
        trustDomains,
        crls: context.crls.length,
        ignored: context.ignored,
        files
      })
    printEach(
      svids.map((svid, index) => [
        ['spiffe id', svid.spiffeId.uri],
        ['hint', svid.hint],
        ['serial', svid.serialNumber],
        ['key', svid.keyAlgorithm],
        ['valid from', svid.notBefore],
        ['expires', expiry(svid.expiresAt)],
        ['trusts', trustDomains.join(' ')],
        ['files', files && `${values.write}: ${files.filter((name) => name.split('.')[1] === String(index)).join(' ')}`]
      ])
    )
    for (const { message, what } of context.ignored)
      process.stderr.write(`countersign: ignored: ${printable(what)}: ${printable(message)}\n`)
  }
}

/** @type {import('./main').Command} */
const watch = {
  summary: 'Report every new X509-SVID, and keep files up to date',
  usage: '[--endpoint ENDPOINT] [--write DIR]',
  options: {
    ...WORKLOAD,
    timeout: { ...WORKLOAD.timeout, help: 'milliseconds to wait for the first identity (default: no limit)' },
    ...CHOICE,
    write: WRITE,
    json: {
      type: 'boolean',
      help: 'a JSON document a line: all events; text has updates on stdout, the rest on stderr'
    }
  },
  notes: `${NOTES}

A line comes after the files are in place:
  countersign x509 watch --write DIR | while read -r line; do nginx -s reload; done
When the Workload API has no identity for this process (any more), the files are removed. Broken connections are made
anew; the command ends when the Workload API refuses for good, on SIGTERM (exit code 0) and on SIGINT (130).`,
  async run({ values, positionals, json }) {
    none(positionals)
    const { timeout, ...where } = workload(values)
    const chosen = choice(values)
    const source = new X509Source({ ...where, ...chosen })
    try {
      return await follow(
        source,
        chosen,
        values.write === undefined ? undefined : new SvidFiles(values.write),
        timeout,
        json ? jsonLine : textLine
      )
    } finally {
      source.close()
    }
  }
}

/**
 * @param {Record<string, any>} values
 * @param {{ spiffeId?: string, hint?: string }} chosen
 */
async function waitFor(values, chosen) {
  const source = await X509Source.open({ timeout: WAIT, ...workload(values), ...chosen })
  try {
    return source.context()
  } finally {
    source.close()
  }
}

/**
 * @param {X509Context} context
 * @param {{ spiffeId?: string, hint?: string }} chosen
 * @returns {readonly X509Svid[]} all of them, when no one is chosen
 */
function wanted(context, chosen) {
  const { svids } = context
  if (Object.keys(chosen).length === 0) return svids
  const labels = svids.map(({ spiffeId, hint }) => /** @type {const} */ ([spiffeId.uri, hint ?? null]))
  return [svids[compilePick(chosen)({ labels, svids, svid: (index) => svids[index] })]]
}

/**
 * @param {InstanceType<typeof X509Source>} source
 * @param {{ spiffeId?: string, hint?: string }} chosen
 * @param {InstanceType<typeof SvidFiles> | undefined} files
 * @param {number | undefined} timeout
 * @param {(line: Record<string, any>) => void} print
 * @returns {Promise<number>} the exit code
 */
function follow(source, chosen, files, timeout, print) {
  return new Promise((resolve, reject) => {
    // Nothing of the source keeps the process alive; waiting for it must.
    const alive = setInterval(() => {}, 0x7fffffff)
    const ready = source.ready({ timeout: timeout ?? null })
    let revision = -1
    /** What was complained about last: a daemon that is away is no news every ten seconds. */
    let complaint = ''

    /** @param {string} event @param {any} error @param {Record<string, any>} [more] */
    const complain = (event, error, more) => {
      if (complaint === event + error.message) return
      complaint = event + error.message
      print({ event, error: errorValue(error), ...more })
    }
    const update = () => {
      let context
      try {
        context = source.context()
      } catch (error) {
        // The one that was chosen is not offered any more.
        if (/** @type {any} */ (error).code === 'ERR_SVID_NOT_FOUND') files?.remove()
        return complain('error', error)
      }
      if (context.revision === revision) return
      revision = context.revision
      complaint = ''
      const svids = wanted(context, chosen)
      const names = files?.write(context, svids)
      print({
        event: 'update',
        revision,
        svids: svids.map((svid) => svid.toJSON()),
        trustDomains: context.bundles.trustDomains.map(({ name }) => name),
        ignored: context.ignored,
        files: names
      })
    }
    /** @param {import('../../index').SourceEvent} event */
    const happened = (event) => {
      switch (event.type) {
        case 'update':
          return update()
        case 'withdraw':
          files?.remove()
          return complain('withdraw', event.error, { withdrawn: event.withdrawn })
        case 'error':
          return complain('error', event.error, { retryIn: event.retryIn })
        case 'overdue':
        case 'expire':
          return print({ event: event.type, expiresAt: event.expiresAt })
        case 'close':
          if (event.error) finish(() => reject(event.error))
      }
    }
    const unsubscribe = source.subscribe((event) => {
      try {
        happened(event)
      } catch (error) {
        // The disk is full, say: better to be started anew than to go on as if nothing was.
        finish(() => reject(error))
      }
    })
    const interrupted = () => finish(() => resolve(128 + 2))
    const terminated = () => finish(() => resolve(EXIT.OK))
    /** @param {() => void} settle */
    const finish = (settle) => {
      clearInterval(alive)
      unsubscribe()
      process.off('SIGINT', interrupted)
      process.off('SIGTERM', terminated)
      settle()
    }
    process.on('SIGINT', interrupted)
    process.on('SIGTERM', terminated)
    // The updates before the first report, and the case that none comes.
    ready.then(update).catch((error) => finish(() => reject(refusal(error))))
  })
}

/**
 * What ended a source says more than that it is over. Which of the two is heard first is a matter of luck.
 * @param {any} error
 */
function refusal(error) {
  return error.code === 'ERR_CLOSED' && error.cause ? error.cause : error
}

/** @param {Record<string, any>} line */
function jsonLine(line) {
  printJson({ time: new Date(), ...line })
}

/** @param {Record<string, any>} line */
function textLine({ event, svids, trustDomains, error, expiresAt }) {
  const now = new Date().toISOString()
  if (event !== 'update') {
    const what = error
      ? `${printableLines(error.message)} [${error.code}]`
      : `the X509-SVID ${event === 'expire' ? 'has expired' : 'should have been renewed'}: ${expiry(expiresAt)}`
    process.stderr.write(`${now} ${event} ${what}\n`)
    return
  }
  const each = svids.map(
    (/** @type {any} */ { spiffeId, hint, serialNumber, expiresAt }) =>
      `${spiffeId}${hint === undefined ? '' : ` (${hint})`} serial ${serialNumber} expires ${expiry(expiresAt)}`
  )
  process.stdout.write(`${now} update ${printable(each.join(', '))}, trusts ${trustDomains.join(' ')}\n`)
}

/** @type {import('./main').Group} */
const group = { summary: 'Fetch X509-SVIDs from the Workload API, or watch them', commands: { fetch, watch } }

module.exports = group
