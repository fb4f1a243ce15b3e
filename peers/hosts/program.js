'use strict'
/** The program that is bundled, traced and shipped, and how one is run. */
const assert = require('node:assert')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

/** Uses the addon, and every sub-path that a bundler has to follow. */
const PROGRAM = `
const { SpiffeId, X509Source } = require('countersign')
const { startAgent } = require('countersign/agent')
const { authorize } = require('countersign/tls')
const { Issuer } = require('countersign/principal')
async function main () {
  const agent = await startAgent({ rules: [{ match: { uid: process.getuid() }, spiffeId: 'spiffe://example.org/billing' }], workloadApi: { trustDomain: 'example.org' } })
  const source = await X509Source.open({ endpoint: agent.endpoint })
  if (!Issuer.oauth || typeof authorize.any !== 'function') throw new Error('a sub-path is missing')
  console.log(String(SpiffeId.parse(String(source.svid().spiffeId))))
  source.close()
  await agent.close()
}
main()
`
const SAYS = 'spiffe://example.org/billing\n'

/** @param {string} directory */
function write(directory) {
  const file = path.join(directory, 'program.js')
  fs.writeFileSync(file, PROGRAM)
  return file
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(command, args, cwd, env = process.env) {
  const { NODE_TEST_CONTEXT, NODE_OPTIONS, ...clean } = env
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: clean,
    encoding: 'utf8',
    timeout: 180_000
  })
  return { status, stdout, output: `${stdout}${stderr}${error ?? ''}` }
}

/** It runs, and says what the program says. @param {string} command @param {string[]} args @param {string} cwd */
function works(command, args, cwd) {
  const { status, stdout, output } = run(command, args, cwd)
  assert.strictEqual(status, 0, output)
  assert.strictEqual(stdout, SAYS)
}

module.exports = { PROGRAM, SAYS, write, run, works }
