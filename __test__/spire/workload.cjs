// A workload in a process of its own: who am I, by every way to ask. What it is told, or why it is not.
// @ts-expect-error: the package is beside this file where the workload runs
const { JwtSource, WorkloadApiClient, X509Source } = require('./package')

async function main() {
  const client = new WorkloadApiClient()
  const [source, tokens] = [new X509Source(), new JwtSource()]
  const told = (/** @type {Promise<unknown>} */ call) =>
    call.then(String, (error) => {
      const { code, grpcMessage } = error.code === 'ERR_TIMEOUT' ? error.cause : error
      return `${code} ${grpcMessage}`
    })
  const [one, token, svid, cached] = await Promise.all([
    told(client.fetchX509Svid()),
    told(client.fetchJwtSvid({ audience: 'shop' })),
    told(source.ready({ timeout: 1000 }).then((/** @type {import('countersign').X509Context} */ { svid }) => svid)),
    told(tokens.fetch({ audience: 'shop' }))
  ])
  console.log(
    JSON.stringify({ client: one, token, source: svid, tokens: cached, states: [source.state, tokens.state] })
  )
}

main()
