// A TCP port that no program listens on.
import { once } from 'node:events'
import net from 'node:net'

/** @param {string} [host] */
export async function freePort(host = '127.0.0.1') {
  const server = net.createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}
