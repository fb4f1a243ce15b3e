// What docs/workload-api.md and the tour say about the Workload API works as it stands there.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { root, runScript } from './support/child.mjs'
import { run } from './support/command-line.mjs'
import { domain, jwtResponse, healthy, startStub, strings, x509Response } from './support/workload-stub.mjs'

const home = domain('example.org')
const svids = [home.svid('/billing'), home.svid('/shop', { hint: 'internal' })]
/** @type {Awaited<ReturnType<typeof startStub>>} */
let stub
before(async () => {
  stub = await startStub((call) => {
    if (call.method === 'FetchX509SVID') return call.send(x509Response({ svids }))
    if (call.method !== 'FetchJWTSVID') return healthy(home)(call)
    call.send(jwtResponse([home.token('/billing', strings(call.request)[1])]))
    call.end()
  })
})
after(() => stub.kill())

/** @param {string} file */
const scripts = (file) =>
  [...readFileSync(`${root}/${file}`, 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map(([, text]) => text)
const ours = [
  ...scripts('docs/workload-api.md').map(
    (script, index) => /** @type {const} */ ([`docs/workload-api.md ${index + 1}`, script])
  ),
  ...scripts('docs/tour.md')
    .filter((script) => script.includes('JwtSource.open()'))
    .map((script, index) => /** @type {const} */ ([`docs/tour.md ${index + 1}`, script]))
]

/** OpenTelemetry is not ours to bring along: only what is called of it is here. */
/** Opens and closes a source, and prints what was counted. */
const OPEN_AND_CLOSE = `
  const source = await countersign.X509Source.open()
  await new Promise((resolve) => setTimeout(resolve, 50))
  source.close()
  console.log(seen.join('\\n'))
`
const TELEMETRY = `const seen = []
const telemetry = { metrics: { getMeter: () => ({
  createCounter: (name) => ({ add: (value, { type, subject, code }) =>
    seen.push([name, value, type, subject, code].join(' ')) }),
  createGauge: (name) => ({ record: (value, { spiffeId }) => seen.push([name, value > 1e9, spiffeId].join(' ')) }),
}) } }
`

for (const [name, script] of ours) {
  test(`${name}: ${script.split('\n')[0]}`, async () => {
    const bridge = script.includes('@opentelemetry/api')
    const text = script
      .replace("require('countersign')", 'countersign')
      .replace("require('@opentelemetry/api')", 'telemetry')
    // The loops never end: what has not failed by then is good.
    const { code, stdout, stderr } = await runScript(
      `${bridge ? TELEMETRY : ''}
      process.on('unhandledRejection', (error) => { console.error(error); process.exit(1) })
      setTimeout(() => process.exit(0), 1500)
      ;(async () => {
        ${text}
        ${bridge ? OPEN_AND_CLOSE : ''}
      })().then(() => process.exit(0))`,
      { env: { SPIFFE_ENDPOINT_SOCKET: stub.endpoint } }
    )
    assert.equal(code, 0, stderr)
    assert.doesNotMatch(stdout + stderr, /eyJ|PRIVATE KEY/)
    if (bridge)
      assert.equal(
        stdout,
        'countersign.source.events 1 connect x509 \ncountersign.source.events 1 update x509 \n' +
          'countersign.source.events 1 close x509 \n'
      )
    if (/^(?!.*subscribe).*console\.log/s.test(script)) assert.notEqual(stdout, '')
  })
}

test('the guide has every command, and every check of the doctor', async () => {
  assert.ok(ours.length >= 6)
  const guide = readFileSync(`${root}/docs/workload-api.md`, 'utf8')
  for (const command of ['doctor', 'x509 fetch', 'x509 watch', 'jwt fetch', 'jwt validate', 'bundles'])
    assert.ok(guide.includes(`countersign ${command}`), command)
  const { findings } = JSON.parse((await run(['doctor', '--json', '--endpoint', stub.endpoint])).stdout)
  const table = [...guide.matchAll(/^\| (`\w+`(?:, `\w+`)*) \| [^|]* \|$/gm)].flatMap(
    ([, names]) => names.match(/\w+/g) ?? []
  )
  for (const { check } of findings) assert.ok(table.includes(check), check)
})
