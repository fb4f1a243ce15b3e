// How a call ended, for comparing.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { CountersignError } from 'countersign'

/**
 * The error of the package that a call fails with.
 * @param {Promise<unknown>} call
 * @returns {Promise<any>}
 */
export async function failure(call) {
  const error = await call.then(
    (value) => assert.fail(`the call succeeded: ${inspect(value)}`),
    (error) => error
  )
  assert.ok(CountersignError.is(error), inspect(error))
  return error
}

/**
 * What a refused client or server is refused with.
 * @param {Promise<unknown>} promise
 * @returns {Promise<string | undefined>}
 */
export const refusal = (promise) =>
  promise.then(
    (value) => `accepted: ${value}`,
    (error) => error.rule ?? error.code
  )
