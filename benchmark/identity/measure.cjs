'use strict'
/**
 * One process, one daemon, all variants interleaved round by round. Prints one JSON document.
 *   node measure.cjs SOCKET [rounds]
 */
const net = require('node:net')
const path = require('node:path')
const { IdentityClient, getPeerCredentials } = require('../..')
const { NetClient } = require('./net-client')
const bare = require(path.join(__dirname, '..', 'native', 'countersign-benchmark.node'))

const socketPath = process.argv[2]
const rounds = Number(process.argv[3] ?? 400)

const ours = new IdentityClient({ socketPath })
const theirs = new NetClient(socketPath)

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

async function timed(call) {
  const start = process.hrtime.bigint()
  await call()
  return Number(process.hrtime.bigint() - start) / 1e3
}

function timedSync(call) {
  const start = process.hrtime.bigint()
  call()
  return Number(process.hrtime.bigint() - start) / 1e3
}

const variants = {
  ours: () => timed(() => ours.getIdentity()),
  net: () => timed(() => theirs.getIdentity()),
  sync: () => timedSync(() => ours.getIdentitySync()),
  // Timed from out here like the others: what is left of the difference is ours.
  rust: () => timedSync(() => bare.getmyid(socketPath))
}

/** One call now and then on an idle loop: every variant once a round, at least 2 ms apart. */
async function isolated() {
  const times = { ours: [], net: [], sync: [], rust: [] }
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(variants)) {
      await sleep(2 + Math.random())
      times[name].push(await variants[name]())
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]))
}

/** Call after call; a round is a burst of each variant. */
async function backToBack() {
  const times = { ours: [], net: [], sync: [], rust: [] }
  for (let round = 0; round < Math.ceil(rounds / 10); round++) {
    for (const name of Object.keys(variants)) {
      const burst = []
      for (let call = 0; call < 100; call++) burst.push(await variants[name]())
      times[name].push(median(burst))
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]))
}

/** So many calls in flight at any time: calls a second, and what the caller's process spends on one, in microseconds. */
async function inFlight(width, calls) {
  const perSecond = { ours: [], net: [] }
  const cpu = { ours: [], net: [] }
  for (let round = 0; round < 9; round++) {
    for (const [name, client] of [
      ['ours', ours],
      ['net', theirs]
    ]) {
      let left = calls
      const worker = async () => {
        while (left-- > 0) await client.getIdentity()
      }
      const before = process.cpuUsage()
      const start = process.hrtime.bigint()
      await Promise.all(Array.from({ length: width }, worker))
      perSecond[name].push(calls / (Number(process.hrtime.bigint() - start) / 1e9))
      const { user, system } = process.cpuUsage(before)
      cpu[name].push((user + system) / calls)
    }
  }
  return {
    ours: median(perSecond.ours),
    net: median(perSecond.net),
    cpu: { ours: median(cpu.ours), net: median(cpu.net) }
  }
}

/** Nanoseconds a call, on a connected socket. */
async function credentials() {
  const socket = net.connect(socketPath)
  await new Promise((resolve) => socket.once('connect', resolve))
  const fd = socket._handle.fd
  const each = (call) => {
    const all = []
    for (let round = 0; round < 21; round++) {
      const start = process.hrtime.bigint()
      for (let index = 0; index < 20000; index++) call()
      all.push(Number(process.hrtime.bigint() - start) / 20000)
    }
    return median(all)
  }
  const result = {
    ours: each(() => getPeerCredentials(fd)),
    oursSocket: each(() => getPeerCredentials(socket)),
    call: each(() => bare.peercred(fd)),
    bare: median(Array.from({ length: 21 }, () => bare.peercredBare(fd, 20000)))
  }
  socket.destroy()
  return result
}

async function main() {
  for (let index = 0; index < 300; index++) for (const name of Object.keys(variants)) await variants[name]()
  const report = {
    node: process.version,
    isolated: await isolated(),
    backToBack: await backToBack(),
    inFlight64: await inFlight(64, 6400),
    inFlight1000: await inFlight(1000, 10000),
    credentials: await credentials()
  }
  console.log(JSON.stringify(report))
}

main()
