// Workload APIs in a process of their own, so that what they hold is not counted: as many as wanted, told what to do.
//
//   const agents = await startAgents(250)
//   agents.endpoints
//   await agents.rotate(50)     // every agent says something new on every stream, fifty times
//   await agents.restart(0)     // every agent is another one, at the same path; those whose number is 0 mod 5 are
//                               // away for a moment
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  domain,
  jwtBundlesResponse,
  jwtResponse,
  startStub,
  strings,
  x509BundlesResponse,
  x509Response
} from '../support/workload-stub.mjs'

/** @param {number} count */
export async function startAgents(count) {
  const child = fork(fileURLToPath(import.meta.url), [String(count)], { execArgv: [] })
  /** @param {unknown} wish @returns {Promise<any>} */
  const ask = async (wish) => {
    child.send(/** @type {any} */ (wish))
    const [answer] = await once(child, 'message')
    return answer
  }
  const [endpoints] = await once(child, 'message')
  return {
    endpoints: /** @type {string[]} */ (endpoints),
    rotate: (/** @type {number} */ times) => ask(['rotate', times]),
    restart: (/** @type {number} */ fifth) => ask(['restart', fifth]),
    /** How many connections and streams there are. */
    count: () => ask(['count']),
    stop() {
      child.kill('SIGKILL')
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const home = domain()
  const other = domain('other.org')
  const id = `spiffe://${home.name}`
  // Each is the other's rotation.
  const turns = [home, other].map((second) => ({
    FetchX509SVID: x509Response({
      svids: [home.svid('/billing'), home.svid('/shop', { hint: 'shop' })],
      federated: { 'spiffe://other.org': second.ca.der }
    }),
    FetchX509Bundles: x509BundlesResponse({ [id]: home.ca.der, 'spiffe://other.org': second.ca.der }),
    FetchJWTBundles: jwtBundlesResponse({ [id]: home.jwks, 'spiffe://other.org': second.jwks })
  }))
  let turn = 0
  const says = (/** @type {string} */ method) => /** @type {Record<string, Buffer>} */ (turns[turn % 2])[method]
  const answer = (/** @type {import('../support/workload-stub.mjs').Call} */ call) => {
    const message = says(call.method)
    if (message) return call.send(message)
    call.send(jwtResponse([home.token('/billing', strings(call.request)[1])]))
    call.end()
  }
  const options = { remember: false }
  const stubs = await Promise.all(Array.from({ length: Number(process.argv[2]) }, () => startStub(answer, options)))
  const send = (/** @type {any} */ message) => process.send?.(message)
  const work = {
    async rotate(/** @type {number} */ times) {
      for (let done = 0; done < times; done++) {
        turn++
        for (const stub of stubs) for (const method of Object.keys(turns[0])) stub.push(method, says(method))
        await new Promise(setImmediate)
      }
    },
    async restart(/** @type {number} */ fifth) {
      turn++
      await Promise.all(
        stubs.map(async (old, index) => {
          const { socket } = old
          if (index % 5 === fifth) {
            await old.kill()
            await sleep(20)
            stubs[index] = await startStub(answer, { ...options, socket })
          } else {
            // The new one listens when the connections to the old one break, so the attempt that follows at once
            // succeeds.
            const { leave } = await old.replace()
            stubs[index] = await startStub(answer, { ...options, socket })
            leave()
          }
        })
      )
    },
    async count() {
      return {
        connections: stubs.reduce((sum, stub) => sum + stub.sessions, 0),
        streams: stubs.reduce((sum, stub) => sum + stub.open.size, 0)
      }
    }
  }
  process.on('message', async (/** @type {any} */ [what, argument]) =>
    send((await work[/** @type {keyof typeof work} */ (what)](argument)) ?? 'done')
  )
  process.on('disconnect', () => process.exit())
  send(stubs.map(({ endpoint }) => endpoint))
}
