// A source is read while another thread changes what there is to read: what is seen belongs together, and nothing is
// missed. The change is made to happen in the middle of a reading, at each place where one thread can overtake another.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { countersign } from './support/spiffe-scene.mjs'

const { JwtSource, X509Source } = countersign
const { native } = createRequire(import.meta.url)('../lib/native/load')

/** A Workload API in a thread of its own, because this one will be stopped. */
const SERVER = `
  import { parentPort, workerData } from 'node:worker_threads'
  import { domain, jwtBundlesResponse, jwtResponse, startStub,
    x509Response } from ${JSON.stringify(new URL('support/workload-stub.mjs', import.meta.url).href)}
  const home = domain()
  const svids = [home.svid('/billing'), home.svid('/billing')]
  let turn = 0
  const says = (call) => {
    switch (call.method) {
      case 'FetchX509SVID': return call.send(x509Response({ svids: [svids[turn % 2]] }))
      case 'FetchJWTBundles': return call.send(jwtBundlesResponse({ ['spiffe://d' + turn % 2 + '.org']: home.jwks }))
    }
    call.send(jwtResponse([home.token('/billing', ['shop'])]))
    call.end()
  }
  const stub = await startStub(says)
  parentPort.on('message', async (what) => {
    if (what === 'stop') {
      await stub.kill()
      return parentPort.close()
    }
    turn++
    if (what === 'withdraw') for (const call of [...stub.open]) call.end(7, 'no identity issued')
    else for (const call of stub.open) says(call)
    stub.answer(what === 'withdraw' ? (call) => call.end(7, 'no identity issued') : says)
    Atomics.store(workerData, 0, 1)
    Atomics.notify(workerData, 0)
  })
  parentPort.postMessage(stub.endpoint)`

const done = new Int32Array(new SharedArrayBuffer(4))
const server = new Worker(new URL(`data:text/javascript,${encodeURIComponent(SERVER)}`), { workerData: done })
/** @type {Promise<string>} */
const endpoint = new Promise((resolve, reject) => server.once('message', resolve).once('error', reject))
// Not by terminating it: the http2 of a thread that is stopped while there is something to read may abort the process
// (nodejs/node#64850).
after(async () => {
  server.postMessage('stop')
  await once(server, 'exit')
})

/**
 * Something happens, and has happened when this returns: no event of this thread comes in between.
 * @param {any} feed
 * @param {'rotate' | 'withdraw'} what
 */
function happens(feed, what) {
  const { updates, withdrawals } = JSON.parse(feed.counters())
  Atomics.store(done, 0, 0)
  server.postMessage(what)
  Atomics.wait(done, 0, 0, 5000)
  for (const limit = Date.now() + 5000; Date.now() < limit; ) {
    const now = JSON.parse(feed.counters())
    if (now.updates > updates || now.withdrawals > withdrawals) return
  }
  throw new Error(`no ${what} came`)
}

/**
 * Read, and let something happen right behind the given call that the reading makes into the core.
 * @param {number} place from 1
 * @param {'rotate' | 'withdraw'} what
 * @param {() => unknown} read
 * @returns {boolean} whether the reading had such a place
 */
function reading(place, what, read) {
  let calls = 0
  const methods = /** @type {const} */ (['revision', 'snapshot', 'context'])
  const originals = methods.map((name) => native.Feed.prototype[name])
  methods.forEach((name, index) => {
    native.Feed.prototype[name] = function () {
      const seen = originals[index].call(this)
      if (++calls === place) happens(this, what)
      return seen
    }
  })
  try {
    read()
  } catch {
  } finally {
    methods.forEach((name, index) => {
      native.Feed.prototype[name] = originals[index]
    })
  }
  return calls >= place
}

for (const [kind, Source, read] of /** @type {[string, any, (source: any) => any][]} */ ([
  ['X.509', X509Source, (source) => source.context().svid.serialNumber],
  ['JWT', JwtSource, (source) => source.bundles.trustDomains.join()]
])) {
  test(`${kind}: a rotation in the middle of a reading is seen by the next one`, async () => {
    const source = await Source.open({ endpoint: await endpoint })
    let places = 0
    for (let place = 1; place <= 12; place++) {
      // So that the reading finds something new in any case, and looks at all of it.
      happens(handle(source), 'rotate')
      if (reading(place, 'rotate', () => read(source))) places++
      assert.equal(read(source), await newest(Source, read), `behind call ${place}`)
    }
    assert.ok(places >= 4, `${places} places`)
    source.close()
  })
  test(`${kind}: a withdrawal in the middle of a reading is seen by the next one`, async () => {
    for (let place = 1, places = 0; ; place++) {
      const source = await Source.open({ endpoint: await endpoint, timeout: 15_000 })
      happens(handle(source), 'rotate')
      const was = reading(place, 'withdraw', () => read(source))
      if (was) {
        places++
        assert.throws(() => read(source), { code: 'ERR_IDENTITY_WITHDRAWN' }, `behind call ${place}`)
        // Everybody gets it back.
        server.postMessage('rotate')
      }
      source.close()
      if (was) continue
      assert.ok(places >= 4, `${places} places`)
      return
    }
  })
}

test('no token is handed out after the withdrawal, even before the event arrives', async () => {
  const source = await JwtSource.open({ endpoint: await endpoint, timeout: 15_000 })
  const token = await source.fetch({ audience: 'shop' })
  assert.equal(await source.fetch({ audience: 'shop' }), token)
  happens(handle(source), 'withdraw')
  assert.equal(source.counters.cache.size, 0)
  await assert.rejects(source.fetch({ audience: 'shop' }), { code: 'ERR_NO_IDENTITY' })
  source.close()
})

/** The core's own handle of what a source reads. @param {any} source */
function handle(source) {
  /** @type {any} */
  let found
  const { revision } = native.Feed.prototype
  native.Feed.prototype.revision = function () {
    found = this
    return revision.call(this)
  }
  void source.state
  native.Feed.prototype.revision = revision
  return found
}

/** What a source sees that is made only now. @param {any} Source @param {(source: any) => any} read */
async function newest(Source, read) {
  const source = new Source({ endpoint: await endpoint })
  const seen = read(source)
  source.close()
  return seen
}
