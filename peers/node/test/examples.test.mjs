// The examples that need a package, as they are, with identities of a stand-in for the Workload API.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { root } from '../../../__test__/support/child.mjs'
import { domain, healthy, startStub } from '../../../__test__/support/workload-stub.mjs'

const stub = await startStub(healthy(domain('example.org')))
after(() => stub.kill())

/** @param {string} file */
async function output(file) {
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const NODE_PATH = fileURLToPath(new URL('../node_modules', import.meta.url))
  const child = spawn(process.execPath, [path.join(root, 'examples', file)], {
    env: { ...env, NODE_PATH, SPIFFE_ENDPOINT_SOCKET: stub.endpoint },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const timer = setTimeout(() => child.kill(), 30_000)
  await once(child, 'close')
  clearTimeout(timer)
  return text
}

test('example: fastify', async () => {
  assert.equal(
    await output('tls/fastify.js'),
    [
      'client: hello spiffe://example.org/billing',
      'client: 401 Bearer',
      'client: orders of spiffe://example.org/billing, sent by spiffe://example.org/billing',
      ''
    ].join('\n')
  )
})

test('example: gRPC', async () => {
  const [hello, refused, ...rest] = (await output('tls/grpc.js')).split('\n')
  assert.equal(hello, 'client: hello world, said spiffe://example.org/billing')
  assert.match(refused, /is not authorized: expected spiffe:\/\/example\.org\/somebody-else/)
  assert.deepEqual(rest, [''])
})
