'use strict'
/**
 * In a fresh process: milliseconds until a test agent is ready, until its first SVID, until the next agent is ready.
 *   node ready.cjs CHECKOUT
 */
const { createRequire } = require('node:module')
const path = require('node:path')

const load = createRequire(path.join(process.argv[2], 'package.json'))
const identities = ['spiffe://example.org/billing']

async function main() {
  const times = [performance.now()]
  const lap = () => times.push(performance.now())
  const { startTestAgent } = load('countersign/testing')
  const { WorkloadApiClient } = load('countersign')
  lap()
  const agent = await startTestAgent({ identities })
  lap()
  await new WorkloadApiClient({ endpoint: agent.endpoint }).fetchX509Svid()
  lap()
  // A second one in the same process, as the next test of a suite has it.
  const again = await startTestAgent({ identities })
  lap()
  const [loaded, ready, first, next] = times.slice(1).map((time, index) => time - times[index])
  console.log(JSON.stringify({ load: loaded, ready, first, again: next }))
  await Promise.all([agent.close(), again.close()])
  process.exit()
}

main()
