'use strict'
/** `countersign jwt`: tokens from the Workload API, and verdicts on tokens. */

const { WorkloadApiClient, verifyJwtSvid } = require('../../index')
const { CHOICE, WORKLOAD, choice, none, workload } = require('./arguments')
const { UsageError } = require('./exit')
const { expiry, printEach, printJson, printPairs } = require('./print')

/** @typedef {import('../../index').JwtSvid} JwtSvid */

/** More than any token that would be accepted. */
const LONGEST_TOKEN = 1 << 16

/** @type {import('./main').Command} */
const fetch = {
  summary: 'Fetch a token for an audience',
  usage: '--audience NAME [--audience NAME]... [--raw]',
  options: {
    audience: { type: 'string', value: 'NAME', multiple: true, help: 'the audience of the token; repeatable' },
    ...CHOICE,
    raw: { type: 'boolean', help: 'nothing but the token' },
    'show-token': { type: 'boolean', help: 'show the tokens too' },
    ...WORKLOAD
  },
  notes: `  TOKEN=$(countersign jwt fetch --audience NAME --raw)
With several identities, --raw wants to know which: the order in which a Workload API offers them says nothing.`,
  async run({ values, positionals, json }) {
    none(positionals)
    const { audience, raw = false, 'show-token': shown = false } = values
    if (audience === undefined) throw new UsageError('--audience: name the audience of the token')
    if (raw && (json || shown))
      throw new UsageError('--raw is nothing but the token: it excludes --json and --show-token')
    const svids = await offered(new WorkloadApiClient(workload(values)), audience, choice(values))
    if (raw) {
      process.stdout.write(`${theOne(svids).token}\n`)
      return
    }
    if (json)
      return printJson({ svids: svids.map((svid) => ({ ...svid.toJSON(), ...(shown ? { token: svid.token } : {}) })) })
    printEach(
      svids.map((svid) => [
        ['spiffe id', svid.spiffeId.uri],
        ['hint', svid.hint],
        ['audience', svid.audience.join(' ')],
        ['issued', svid.issuedAt],
        ['expires', expiry(svid.expiresAt)],
        ['algorithm', svid.algorithm],
        ['key id', svid.keyId],
        ['token', shown ? svid.token : '[hidden; --show-token shows it, --raw prints nothing else]']
      ])
    )
  }
}

/** @type {import('./main').Command} */
const validate = {
  summary: 'Verify a token',
  usage: '--audience NAME [--offline] [-|TOKEN]',
  options: {
    audience: { type: 'string', value: 'NAME', multiple: true, help: 'the audience that the token must have' },
    offline: {
      type: 'boolean',
      help: 'verify it here, with the bundles of the Workload API, instead of asking the Workload API to verify it'
    },
    ...WORKLOAD
  },
  notes: `Without TOKEN the token is read from stdin. A token given as an argument can be seen by all users of this
machine in the list of processes.
Exit code 4: the token is refused.`,
  async run({ values, positionals, json }) {
    const { audience: audiences = [], offline = false } = values
    if (audiences.length !== 1) throw new UsageError('--audience: say the one name that the token must be for')
    if (positionals.length > 1) throw new UsageError('expected one token')
    const [audience] = audiences
    const given = positionals[0] ?? '-'
    const client = new WorkloadApiClient(workload(values))
    const token = given === '-' ? await fromStdin() : given.trim()
    const { spiffeId, claims } = offline
      ? verifyJwtSvid(token, await client.fetchJwtBundles(), { audience })
      : await client.validateJwtSvid({ audience, token })
    if (json) return printJson({ spiffeId, claims })
    printPairs([['spiffe id', spiffeId.uri], ...Object.entries(claims)])
  }
}

/**
 * @param {InstanceType<typeof WorkloadApiClient>} client
 * @param {string[]} audience
 * @param {{ spiffeId?: string, hint?: string }} chosen
 * @returns {Promise<readonly JwtSvid[]>}
 */
async function offered(client, audience, { spiffeId, hint }) {
  if (hint !== undefined) return [await client.fetchJwtSvid({ audience, hint })]
  return await client.fetchJwtSvids({ audience, ...(spiffeId === undefined ? {} : { spiffeId }) })
}

/** @param {readonly JwtSvid[]} svids */
function theOne(svids) {
  if (svids.length === 1) return svids[0]
  const offered = svids.map(({ spiffeId, hint }) =>
    hint === undefined ? spiffeId.uri : `${spiffeId} (hint ${JSON.stringify(hint)})`
  )
  throw new UsageError(
    `there are ${svids.length} identities, say which by --spiffe-id or --hint: ${offered.join(', ')}`
  )
}

/** @returns {Promise<string>} */
async function fromStdin() {
  if (process.stdin.isTTY) throw new UsageError('expected a token on stdin')
  let text = ''
  for await (const piece of process.stdin.setEncoding('utf8')) {
    text += piece
    if (text.length > LONGEST_TOKEN)
      throw new UsageError(`what comes on stdin is longer than ${LONGEST_TOKEN} characters: no token`)
  }
  if (text.trim() === '') throw new UsageError('nothing came on stdin where a token was expected')
  return text.trim()
}

/** @type {import('./main').Group} */
const group = { summary: 'Fetch tokens from the Workload API, or verify one', commands: { fetch, validate } }

module.exports = group
