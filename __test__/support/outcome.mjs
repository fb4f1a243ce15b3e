// How a call ended, for comparing.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { CountersignError } from 'countersign'

/**
 * An error of the package with its details. Which ones it has depends on its code.
 * @param {unknown} error anything else fails the test
 * @returns {Record<string, any>}
 */
export function detailsOf(error) {
  assert.ok(CountersignError.is(error), inspect(error))
  return /** @type {any} */ (error)
}

/**
 * The error of the package that a call fails with.
 * @param {Promise<unknown>} call
 * @returns {Promise<Record<string, any>>}
 */
export async function failure(call) {
  const outcome = await call.then(
    (value) => assert.fail(`the call succeeded: ${inspect(value)}`),
    (error) => error
  )
  return detailsOf(outcome)
}

/**
 * What a refused client or server is refused with.
 * @param {Promise<unknown>} promise
 * @returns {Promise<string>}
 */
export const refusal = (promise) =>
  promise.then(
    (value) => `accepted: ${value}`,
    (error) => error.rule ?? error.code
  )
