'use strict'
/**
 * Measuring in rounds: every variant has its turn in every round, so that a change of the machine's speed meets all of
 * them. This file loads nothing, so that the processes under measurement can use it.
 */

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** @param {number} value */
const round = (value, digits = 2) => Number(value.toFixed(digits))

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Microseconds that a call takes until its promise is settled. @param {() => unknown} call */
async function elapsed(call) {
  const start = process.hrtime.bigint()
  await call()
  return Number(process.hrtime.bigint() - start) / 1e3
}

/** The same for a call that returns no promise. @param {() => unknown} call */
function elapsedSync(call) {
  const start = process.hrtime.bigint()
  call()
  return Number(process.hrtime.bigint() - start) / 1e3
}

/** Nanoseconds for each of so many calls in a row. @param {number} calls @param {(index: number) => unknown} call */
function perCall(calls, call) {
  const start = process.hrtime.bigint()
  for (let index = 0; index < calls; index++) call(index)
  return Number(process.hrtime.bigint() - start) / calls
}

/** The same for calls that return promises, one after the other. */
async function perCallAsync(/** @type {number} */ calls, /** @type {() => Promise<unknown>} */ call) {
  const start = process.hrtime.bigint()
  for (let index = 0; index < calls; index++) await call()
  return Number(process.hrtime.bigint() - start) / calls
}

/** Runs so many calls, never more than `width` of them at the same time. */
async function inFlight(
  /** @type {number} */ width,
  /** @type {number} */ calls,
  /** @type {() => Promise<unknown>} */ call
) {
  let left = calls
  const worker = async () => {
    while (left-- > 0) await call()
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/**
 * What each variant measured in each round. The order turns round after round, so that no variant always follows the
 * same one. Rounds to warm up are not counted.
 * @template T
 * @param {Record<string, () => T | Promise<T>>} variants
 * @param {{ rounds: number, warmUp?: number }} count
 * @returns {Promise<Record<string, T[]>>}
 */
async function interleave(variants, { rounds, warmUp = 0 }) {
  /** @type {Record<string, T[]>} */
  const samples = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  const entries = Object.entries(variants)
  for (let turn = -warmUp; turn < rounds; turn++) {
    for (const [name, measure] of turn % 2 === 0 ? entries : entries.toReversed()) {
      const sample = await measure()
      if (turn >= 0) samples[name].push(sample)
    }
  }
  return samples
}

/**
 * @param {Record<string, any[]>} samples
 * @param {(sample: any) => number} pick the number in a sample
 */
const medians = (samples, pick = (sample) => sample) =>
  Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, median(all.map(pick))]))

/** The median of the ratios of each round: it holds where the load changes between rounds. */
const pairedRatio = (/** @type {number[]} */ above, /** @type {number[]} */ below) =>
  median(above.map((value, index) => value / below[index]))

module.exports = {
  elapsed,
  elapsedSync,
  inFlight,
  interleave,
  median,
  medians,
  pairedRatio,
  perCall,
  perCallAsync,
  round,
  sleep
}
