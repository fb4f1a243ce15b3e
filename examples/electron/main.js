'use strict'
// The main process of an Electron application that talks to its daemon. It runs in plain Node.js as well:
//   SPIFFE_ENDPOINT_SOCKET=... node main.js /run/user/1000/acme.sock [the daemon's executable]
const { once } = require('node:events')
const tls = require('node:tls')
const { connectVerified, X509Source } = require('countersign')
const { authorize, clientOptions, peerOf } = require('countersign/tls')

const [path, exe = process.execPath] = process.argv.slice(2)

/** Fetch the status of the daemon. @param {X509Source} source */
async function status(source) {
  // First the kernel: the client sends no byte to an impostor that bound the path.
  const socket = await connectVerified(path, { uid: process.getuid(), exe }, { timeout: 2000 })
  // Then the certificate: it names the program, when one executable runs many.
  const connection = tls.connect({
    socket,
    ...clientOptions(source, authorize.memberOf(source.svid().spiffeId.trustDomain))
  })
  await once(connection, 'secureConnect')
  const from = peerOf(connection)
  let text = ''
  for await (const chunk of connection) text += chunk
  return { from: `${from.spiffeId}`, ...JSON.parse(text) }
}

async function main() {
  const source = await X509Source.open({ timeout: 5000 })
  if (process.versions.electron) {
    // The window receives only the status, and neither socket nor key.
    const { app, BrowserWindow, ipcMain } = require('electron')
    await app.whenReady()
    ipcMain.handle('daemon:status', () => status(source))
    await new BrowserWindow().loadURL('about:blank')
    return
  }
  const { from, to, status: text } = await status(source)
  console.log(`main: ${from} says to ${to.spiffeId}: ${text}`)
  source.close()
}

main().catch((error) => {
  console.log(`main: ${error.code}: ${error.message}`)
  process.exit(1)
})
