// What a process holds, while it does the same thing over and over: descriptors, memory, whatever keeps it alive.
//
// V8 lets its young generation grow when much happens at once, by more than any leak that is looked for here: these
// tests are run with `--max-semi-space-size=1`.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** How many descriptors are open. */
export const descriptors = () => readdirSync('/proc/self/fd').length

/** How many threads there are. */
const threads = () => readdirSync('/proc/self/task').length

/** What keeps the process alive, by kind, but for what is about to end and the timers of the test itself. */
export async function handles() {
  await sleep(100)
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== 'Timeout' && kind !== 'CloseReq')
    .sort()
}

/**
 * Waits until nothing more than before keeps the process alive: a child that was killed takes its time to be gone.
 * @param {string[]} before
 */
export async function nothingMore(before) {
  for (const limit = Date.now() + 30_000; Date.now() < limit; ) if ((await handles()).join() === before.join()) return
  assert.deepEqual(await handles(), before)
}

/** In MiB: everything, and what JavaScript holds. */
async function memory() {
  // Twice, with a turn in between: what the first finds unreachable is given up by finalizers behind it.
  collect()
  await sleep(0)
  collect()
  const { heapUsed, external } = process.memoryUsage()
  const [, resident] = /** @type {RegExpExecArray} */ (
    /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  )
  return { resident: Number(resident) / 1024, heap: (heapUsed + external) / 2 ** 20 }
}

/** How much a line through the points rises from the first to the last. @param {number[]} points */
function rise(points) {
  const middle = (points.length - 1) / 2
  const mean = points.reduce((sum, point) => sum + point, 0) / points.length
  const slope =
    points.reduce((sum, point, at) => sum + (at - middle) * (point - mean), 0) /
    points.reduce((sum, _, at) => sum + (at - middle) ** 2, 0)
  return slope * (points.length - 1)
}

/**
 * Does something in twenty equal parts and looks in between. The first eight only warm it up; over the other twelve
 * nothing may go on growing: it is the rise of a line through them that counts, not the last minus the first.
 * @param {import('node:test').TestContext} t
 * @param {(part: number) => Promise<unknown>} part does a twentieth of it
 * @param {{ resident?: number, heap?: number }} [allowed] MiB that it may rise by over the twelve parts
 */
export async function plateau(t, part, { resident = 3, heap = 0.5 } = {}) {
  /** @type {({ descriptors: number, threads: number } & Awaited<ReturnType<typeof memory>>)[]} */
  const seen = []
  for (let index = 0; index < 20; index++) {
    await part(index)
    seen.push({ ...(await memory()), descriptors: descriptors(), threads: threads() })
  }
  const last = seen.slice(8)
  const of = (/** @type {keyof (typeof seen)[0]} */ what) => last.map((sample) => sample[what])
  const found = {
    resident: rise(of('resident')),
    heap: rise(of('heap')),
    descriptors: rise(of('descriptors')),
    threads: rise(of('threads'))
  }
  const shown = (/** @type {number[]} */ values) => values.map((value) => value.toFixed(1)).join(' ')
  t.diagnostic(`resident MiB ${shown(seen.map((sample) => sample.resident))}`)
  t.diagnostic(`heap MiB ${shown(seen.map((sample) => sample.heap))}`)
  t.diagnostic(`descriptors ${of('descriptors').join(' ')}; threads ${of('threads').join(' ')}`)
  assert.ok(
    found.resident < resident,
    `resident memory goes on growing: ${found.resident.toFixed(2)} MiB in the last twelve parts`
  )
  assert.ok(found.heap < heap, `the heap goes on growing: ${found.heap.toFixed(2)} MiB in the last twelve parts`)
  assert.ok(found.descriptors < 2, `descriptors go on growing: ${of('descriptors').join(' ')}`)
  assert.ok(found.threads < 1, `threads go on growing: ${of('threads').join(' ')}`)
}
