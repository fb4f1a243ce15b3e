'use strict'
/**
 * All clients in one process against one server, interleaved round by round. Prints one JSON document.
 *   node measure.cjs CHECKOUT SOCKET [ROUNDS]
 */
const net = require('node:net')
const { Checkout } = require('../checkout')
const { nativeAddon } = require('../native')
const { elapsed, elapsedSync, inFlight, interleave, median, medians, perCall, sleep } = require('../rounds')
const { NetClient } = require('./net-client')

const [directory, socketPath, rounds = '400'] = process.argv.slice(2)
const { IdentityClient, getPeerCredentials } = new Checkout(directory).load()
const native = nativeAddon()
const ours = new IdentityClient({ socketPath })
const theirs = new NetClient(socketPath)

/** @type {Record<string, () => number | Promise<number>>} */
const variants = {
  ours: () => elapsed(() => ours.getIdentity()),
  net: () => elapsed(() => theirs.getIdentity()),
  sync: () => elapsedSync(() => ours.getIdentitySync()),
  // Measured from JavaScript like the others: what is left of the difference is ours.
  rust: () => elapsedSync(() => native.getmyid(socketPath))
}

/** The same variants, each measured in another way. */
const eachVariant = (/** @type {(call: () => number | Promise<number>) => () => Promise<number>} */ change) =>
  Object.fromEntries(Object.entries(variants).map(([name, call]) => [name, change(call)]))

/** One call now and then on an idle loop: each variant once a round, at least 2 ms apart. */
async function isolated() {
  const paused = eachVariant((call) => async () => {
    await sleep(2 + Math.random())
    return call()
  })
  return medians(await interleave(paused, { rounds: Number(rounds) }))
}

/** Call after call: a round is a burst of each variant. */
async function backToBack() {
  const bursts = eachVariant((call) => async () => {
    const times = []
    for (let index = 0; index < 100; index++) times.push(await call())
    return median(times)
  })
  return medians(await interleave(bursts, { rounds: Math.ceil(Number(rounds) / 10) }))
}

/** Calls a second, and the CPU that one costs this process, in microseconds. */
async function crowded(/** @type {number} */ width, /** @type {number} */ calls) {
  const side = (/** @type {{ getIdentity(): Promise<unknown> }} */ client) => async () => {
    const before = process.cpuUsage()
    const spent = await elapsed(() => inFlight(width, calls, () => client.getIdentity()))
    const { user, system } = process.cpuUsage(before)
    return { perSecond: (calls * 1e6) / spent, cpu: (user + system) / calls }
  }
  const samples = await interleave({ ours: side(ours), net: side(theirs) }, { rounds: 9 })
  return {
    width,
    perSecond: medians(samples, ({ perSecond }) => perSecond),
    cpu: medians(samples, ({ cpu }) => cpu)
  }
}

/** Nanoseconds a call, on a connected socket. */
async function credentials() {
  const socket = net.connect(socketPath)
  await new Promise((resolve) => socket.once('connect', resolve))
  const fd = /** @type {any} */ (socket)._handle.fd
  const samples = await interleave(
    {
      ours: () => perCall(20_000, () => getPeerCredentials(fd)),
      oursSocket: () => perCall(20_000, () => getPeerCredentials(socket)),
      call: () => perCall(20_000, () => native.peercred(fd)),
      bare: () => native.peercredBare(fd, 20_000)
    },
    { rounds: 21 }
  )
  socket.destroy()
  return medians(samples)
}

async function main() {
  await interleave(variants, { rounds: 300 })
  const report = {
    node: process.version,
    isolated: await isolated(),
    backToBack: await backToBack(),
    inFlight: [await crowded(64, 6400), await crowded(1000, 10_000)],
    credentials: await credentials()
  }
  console.log(JSON.stringify(report))
}

main()
