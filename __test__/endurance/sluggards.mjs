// Workload APIs that answer after a while, or never; one for each method, in a process of their own. Over bare HTTP/2:
// Node takes clients that take many calls back for attackers (and Node 20 then answers their connection no more).
//
//   const { endpoints } = await startSluggards()
//   new WorkloadApiClient({ endpoint: endpoints.FetchX509SVID }).fetchX509Context()
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { answer, data, GRPC, HEADERS, headers, RST_STREAM, startWire } from '../support/http2-wire.mjs'
import {
  domain,
  jwtBundlesResponse,
  jwtResponse,
  x509BundlesResponse,
  x509Response
} from '../support/workload-stub.mjs'

/** @typedef {'FetchX509SVID' | 'FetchX509Bundles' | 'FetchJWTBundles' | 'FetchJWTSVID'} Method */

/** The audience of all tokens. */
export const AUDIENCE = 'shop'

export async function startSluggards() {
  const child = fork(fileURLToPath(import.meta.url), [], { execArgv: [] })
  const [endpoints] = await once(child, 'message')
  return {
    endpoints: /** @type {Record<Method, string>} */ (endpoints),
    /** What they saw: connections there were, streams that are neither answered to the end nor taken back. */
    async count() {
      child.send('count')
      const [counted] = await once(child, 'message')
      return /** @type {{ connections: number, streams: number }} */ (counted)
    },
    stop() {
      child.kill('SIGKILL')
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const home = domain()
  const id = `spiffe://${home.name}`
  /** @type {Record<Method, Buffer>} */
  const messages = {
    FetchX509SVID: x509Response({ svids: [home.svid('/billing'), home.svid('/shop', { hint: 'shop' })] }),
    FetchX509Bundles: x509BundlesResponse({ [id]: home.ca.der }),
    FetchJWTBundles: jwtBundlesResponse({ [id]: home.jwks }),
    FetchJWTSVID: jwtResponse([home.token('/billing', [AUDIENCE])])
  }
  /** @type {Map<import('../support/http2-wire.mjs').Connection, Set<number>>} */
  const open = new Map()
  const streams = () => [...open.values()].reduce((sum, streams) => sum + streams.size, 0)
  const serve = (/** @type {Method} */ method) =>
    startWire({
      request(connection, stream) {
        const pause = Math.floor(Math.random() * 6)
        if (pause === 5) return
        setTimeout(() => {
          if (method === 'FetchJWTSVID') {
            open.get(connection)?.delete(stream)
            return connection.write(answer(stream, messages[method]))
          }
          // And once more, for nobody: a fetch has left by then.
          return connection.write(headers(stream, GRPC), data(stream, messages[method]), data(stream, messages[method]))
        }, pause)
      },
      took(connection, { type, stream }) {
        if (!open.has(connection)) {
          open.set(connection, new Set())
          connection.closed.then(() => open.delete(connection))
        }
        if (type === HEADERS) open.get(connection)?.add(stream)
        if (type === RST_STREAM) open.get(connection)?.delete(stream)
        connection.frames.length = 0
      }
    })
  const servers = await Promise.all(
    /** @type {Method[]} */ (Object.keys(messages)).map(
      async (method) => /** @type {const} */ ([method, await serve(method)])
    )
  )
  process.on('message', () =>
    process.send?.({
      streams: streams(),
      connections: servers.reduce((sum, [, server]) => sum + server.connections.length, 0)
    })
  )
  process.on('disconnect', () => process.exit())
  process.send?.(Object.fromEntries(servers.map(([method, { endpoint }]) => [method, endpoint])))
}
