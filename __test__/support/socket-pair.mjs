// Both ends of a connection over a Unix socket, within this process.
import { once } from 'node:events'
import net from 'node:net'

/**
 * @param {import('node:test').TestContext} t both ends are closed after this test
 * @param {string} socketPath
 */
export async function socketPair(t, socketPath) {
  const listener = net.createServer().listen(socketPath)
  await once(listener, 'listening')
  const client = net.connect(socketPath)
  /** @type {[net.Socket]} */
  const [server] = /** @type {any} */ (await once(listener, 'connection'))
  if (client.connecting) await once(client, 'connect')
  t.after(() => {
    client.destroy()
    server.destroy()
    listener.close()
  })
  return { client, server, listener }
}
