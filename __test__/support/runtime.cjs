'use strict'
// The name and version of the JavaScript runtime this process is.
const { bun, deno, node } = process.versions

const runtime = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`

module.exports = { runtime }
